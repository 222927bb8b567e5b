/**
 * Makes a callback that never throws: what goes wrong in here is no business of the page around it, which
 * would report it as an error of its own.
 */
export function guard<A extends unknown[]>(callback: (...args: A) => void): (...args: A) => void {
  return (...args) => {
    try {
      callback(...args);
    } catch {
      // Measuring less is the lesser harm.
    }
  };
}

type Events = WindowEventMap & DocumentEventMap;
type Listeners = { [K in keyof Events]?: (event: Events[K]) => void };

/**
 * Adds listeners to the window until `signal` is aborted. They can neither throw into the page nor delay its
 * scrolling. Events made by a script tell nothing of the visitor and are left out.
 */
export function listen(signal: AbortSignal, listeners: Listeners): void {
  for (const type in listeners) {
    const listener = listeners[type as 'load'];
    // In the capture phase: where a page stops an event's propagation, it is still seen here.
    addEventListener(
      type,
      guard((event) => event.isTrusted && listener?.(event)),
      { signal, passive: true, capture: true },
    );
  }
}
