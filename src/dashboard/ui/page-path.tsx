import { readablePath } from './text.ts';

/** Characters at the end of a long path that are never cut off: there pages of one section differ. */
const TAIL = 20;

/** A page's path as people read it. Where there is too little room, its middle is cut out; all of it is in the tooltip. */
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
