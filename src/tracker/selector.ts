import { ask, attempt } from './guard.ts';

/**
 * Short CSS selector of an element: its tag, and its `data-fieldmouse` name, or else id and classes. Never made of
 * texts or values.
 */
export function selectorOf(element: Element): string {
  const name = ask(element, 'getAttribute', 'data-fieldmouse');
  const id = ask(element, 'id');
  return (
    ask(element, 'localName') +
    (name
      ? `[data-fieldmouse=${escaped(name)}]`
      : (id && `#${escaped(id)}`) + ['', ...ask(element, 'classList')].map(escaped).join('.'))
  );
}

/** For CSS. A page may have a variable named `CSS`: then names stay as they are. */
function escaped(name: string): string {
  return attempt(() => window.CSS.escape(name)) || name;
}
