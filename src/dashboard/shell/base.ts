/** The base path of the server. The dashboard's code has addresses without it; it is added only here. */
import { options } from 'preact';

/** For example `/stats`, or empty. It is known from the address of this script. */
export const BASE = baseOf(import.meta.url);

export function baseOf(script: string): string {
  return /^https?:\/\/[^/]+(.*)\/admin\/[^/]+$/.exec(script)?.[1] ?? '';
}

/** Adds the base path to an address of the server. Other addresses, and those that have it, stay as they are. */
export function based(address: string, base = BASE): string {
  return /^\/(admin|v1|healthz)(?=[/?]|$)/.test(address) ? base + address : address;
}

/** Removes the base path from a path of the browser's address. */
export function unbased(path: string, base = BASE): string {
  return path.startsWith(`${base}/`) ? path.slice(base.length) : path;
}

/** Adds the base path to all links and pictures. Call it before anything is rendered. */
export function mountLinks(): void {
  if (BASE === '') return;
  const { vnode: before } = options;
  options.vnode = (vnode) => {
    const props = vnode.props as { href?: unknown; src?: unknown };
    if (typeof vnode.type === 'string') {
      if (typeof props.href === 'string') props.href = based(props.href);
      if (typeof props.src === 'string') props.src = based(props.src);
    }
    before?.(vnode);
  };
}
