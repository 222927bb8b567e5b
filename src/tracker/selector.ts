/**
 * Short CSS selector of an element: its tag, and its `data-fieldmouse` name, or else id and classes. Never made of
 * texts or values.
 */
export function selectorOf(element: Element): string {
  const name = (element as HTMLElement).dataset?.fieldmouse;
  if (name) return `${element.localName}[data-fieldmouse=${CSS.escape(name)}]`;
  const id = element.id && `#${CSS.escape(element.id)}`;
  return element.localName + id + ['', ...element.classList].map(CSS.escape).join('.');
}
