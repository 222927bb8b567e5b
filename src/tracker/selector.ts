import { ask } from './guard.ts';

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
      ? `[data-fieldmouse=${CSS.escape(name)}]`
      : (id && `#${CSS.escape(id)}`) + ['', ...ask(element, 'classList')].map(CSS.escape).join('.'))
  );
}
