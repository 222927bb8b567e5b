/**
 * A browser allows six connections to a host, for all tabs together. A hidden tab closes its connection after this
 * time.
 */
const UNSEEN_MS = 30_000;

/** A stream that can be paused. */
interface Pausable {
  pause(): void;
  resume(): void;
}

/**
 * Pauses the stream after the tab has been in the background for 30 s, or when the document is left: the back-forward
 * cache of browsers keeps connections open. Returns a function that stops this.
 */
export function pauseWhileHidden(stream: Pausable): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const update = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => stream.pause(), UNSEEN_MS);
    else stream.resume();
  };
  const pause = () => stream.pause();
  document.addEventListener('visibilitychange', update);
  addEventListener('pagehide', pause);
  addEventListener('pageshow', update);
  update();
  return () => {
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', update);
    removeEventListener('pagehide', pause);
    removeEventListener('pageshow', update);
  };
}
