import { readablePath } from './text.ts';

/** Number of characters at the end of a long path that are never cut off: pages of one section differ there. */
const TAIL = 20;

/** A readable path. If there is too little space, its middle is cut out; the tooltip has the whole path. */
export function PagePath({ path, muted = false }: { path: string; muted?: boolean }) {
  const signs = [...readablePath(path)];
  const text = signs.join('');
  const look = muted ? 'where muted' : 'where';
  if (signs.length <= 2 * TAIL)
    return (
      <span class={look} title={text}>
        {text}
      </span>
    );
  return (
    <span class={`${look} path`} title={text}>
      <span class="path-head">{signs.slice(0, -TAIL).join('')}</span>
      <span>{signs.slice(-TAIL).join('')}</span>
    </span>
  );
}
