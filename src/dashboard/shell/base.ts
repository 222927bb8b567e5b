/** Where the server is mounted. Addresses in the dashboard's code are without that; they get it here, and only here. */
import { options } from 'preact';

/** As `/stats`, or empty: known by where this script came from. */
export const BASE = baseOf(import.meta.url);

export function baseOf(script: string): string {
  return /^https?:\/\/[^/]+(.*)\/admin\/[^/]+$/.exec(script)?.[1] ?? '';
}

/** An address of the server, as a browser has to ask for it. Others, and those that have the base already, stay. */
export function based(address: string, base = BASE): string {
  return /^\/(admin|v1|healthz)(?=[/?]|$)/.test(address) ? base + address : address;
}

/** A path of the browser's address, without the base. */
export function unbased(path: string, base = BASE): string {
  return path.startsWith(`${base}/`) ? path.slice(base.length) : path;
}

/** Gives the addresses of links and pictures the base. To be called before anything is drawn. */
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
