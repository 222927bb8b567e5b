/** What `get` returns, undefined where it throws: a page may have hidden, replaced or forbidden anything. */
export function attempt<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    // It counts as missing.
  }
}

/**
 * Makes a callback that never throws: what goes wrong in here is no business of the page around it, which
 * would report it as an error of its own.
 */
export function guard<A extends unknown[]>(callback: (...args: A) => void): (...args: A) => void {
  return (...args) => attempt(() => callback(...args));
}

/**
 * A property of an element, the document or the window, or what a method of it returns; undefined where the page has
 * broken it. It is looked up on a prototype: an input hides the property of its form, and an image that of the
 * document, that has the same name. For all but the document that is the prototype of its root: a page may have
 * variables named `Element` and `Node`, and a custom element properties of its own.
 */
// biome-ignore lint/suspicious/noExplicitAny: what it is depends on the name.
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
 * Adds listeners to the window until `signal` is aborted. They cannot throw into the page. Events made by a script tell
 * nothing of the visitor and are left out.
 */
export function listen(signal: AbortSignal, listeners: Listeners): void {
  const handle = guard((event: Event) => event.isTrusted && (listeners[event.type as 'load'] as Handler)(event));
  // In the capture phase: where a page stops an event's propagation, it is still seen here.
  const attach = () => {
    for (const type in listeners) ask(window, 'addEventListener', type, handle, { signal, capture: true });
  };
  attach();
  // `document.open` takes all listeners away. To add one that is there changes nothing.
  new MutationObserver(attach).observe(document, { childList: true });
}
