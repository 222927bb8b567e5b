import { ask } from './guard.ts';

/**
 * Short CSS selector of an element: its tag, and its `data-fieldmouse` name, or else id and classes. Never made of
 * texts or values.
 */
export function selectorOf(element: Element): string {
  const [name, id, classes] = ['data-fieldmouse', 'id', 'class'].map(
    (name) => ask(element, 'getAttribute', name) ?? '',
  );
  return (
    ask(element, 'localName') +
    (name
      ? `[data-fieldmouse=${CSS.escape(name)}]`
      : (id && `#${CSS.escape(id)}`) +
        classes.replace(/\S+/g, (one: string) => `.${CSS.escape(one)}`).replace(/\s/g, ''))
  );
}
