import { readablePath } from './text.ts';

/** Number of characters at the end of a long path that are never cut off: pages of one section differ there. */
const TAIL = 20;

/** A readable path. If there is too little space, its middle is cut out; the tooltip has the whole path. */
export function PagePath({ path, muted = false }: { path: string; muted?: boolean }) {
  const characters = [...readablePath(path)];
  const text = characters.join('');
  const className = muted ? 'where muted' : 'where';
  if (characters.length <= 2 * TAIL)
    return (
      <span class={className} title={text}>
        {text}
      </span>
    );
  return (
    <span class={`${className} path`} title={text}>
      <span class="path-head">{characters.slice(0, -TAIL).join('')}</span>
      <span>{characters.slice(-TAIL).join('')}</span>
    </span>
  );
}
