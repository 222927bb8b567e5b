/** A browser allows six connections to a host, for all tabs together. A hidden tab gives its own up after this time. */
const UNSEEN_MS = 30_000;

/** A stream that can be paused. */
interface Pausable {
  pause(): void;
  resume(): void;
}

/**
 * Pauses the stream after the tab has been in the background for 30 s, or when the document is left: browsers keep the
 * documents that one can go back to, with their connections. Returns a function that ends this.
 */
export function pauseUnseen(stream: Pausable): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => stream.pause(), UNSEEN_MS);
    else stream.resume();
  };
  const pause = () => stream.pause();
  document.addEventListener('visibilitychange', look);
  addEventListener('pagehide', pause);
  addEventListener('pageshow', look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', look);
    removeEventListener('pagehide', pause);
    removeEventListener('pageshow', look);
  };
}
