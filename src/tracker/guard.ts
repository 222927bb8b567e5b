/** Returns the result of `get`, or undefined if it throws: a page may have hidden, replaced or forbidden anything. */
export function attempt<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    // Treated as missing.
  }
}

/** Returns a callback that never throws: the page would report errors of the tracker as its own. */
export function guarded<A extends unknown[]>(callback: (...args: A) => void): (...args: A) => void {
  return (...args) => attempt(() => callback(...args));
}

/**
 * Reads a property of an element, the document or the window, or calls a method. Returns undefined if the page has
 * broken it. The property is looked up on a prototype, because a form's input or a document's image with the name of a
 * property hides that property. Except for the document itself, this is the prototype of the root element: a page may
 * have variables named `Element` and `Node`, and a custom element may have properties of its own.
 */
// biome-ignore lint/suspicious/noExplicitAny: the type depends on the name.
export function ask(of: Node | Window, name: string, ...args: unknown[]): any {
  return attempt(() => {
    const prototype = Object.getPrototypeOf(of === document ? of : ask(document, 'documentElement'));
    const value = Reflect.get(prototype, name, of);
    return value?.apply ? value.apply(of, args) : value;
  });
}

type Events = WindowEventMap & DocumentEventMap & { prerenderingchange: Event };
type Handler = (event: Event) => void;
type Listeners = { [K in keyof Events]?: (event: Events[K]) => void };

/**
 * Adds listeners to the window until `signal` is aborted. Their errors do not reach the page. Events made by scripts
 * are ignored, because the visitor did not cause them.
 */
export function addListener(signal: AbortSignal, listeners: Listeners): void {
  const handle = (event: Event) =>
    attempt(() => event.isTrusted && (listeners[event.type as 'load'] as Handler)(event));
  // In the capture phase, because a page may stop the propagation of an event.
  const attach = () => {
    for (const type in listeners) ask(window, 'addEventListener', type, handle, { signal, capture: true });
  };
  attach();
  // `document.open` removes all listeners. Adding a listener twice has no effect.
  new MutationObserver(attach).observe(document, { childList: true });
}
