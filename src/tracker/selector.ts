import { ask, attempt } from './guard.ts';

/**
 * Short CSS selector of an element: its tag, and its `data-fieldmouse` name, or else its id and classes. It never
 * contains texts or values.
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

/** Escapes a name for CSS. If the page has a variable named `CSS`, the name stays as it is. */
function escaped(name: string): string {
  return attempt(() => window.CSS.escape(name)) || name;
}
