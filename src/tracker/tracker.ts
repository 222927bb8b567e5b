/** The tracker as a module for bundlers. `script.ts` is the same for a script element. */
import { wake } from './beat.ts';
import { connect, disconnect, hide, resume, suspend, type Target } from './connection.ts';
import { addListener, ask, guarded } from './guard.ts';
import { emptyOutbox } from './outbox.ts';
import { clicked, currentPage, pointed, resized, settle, watchHistory } from './sampler.ts';

export type { Target } from './connection.ts';

export interface Tracker {
  /** Sends bye, forgets the visitor and removes all listeners. Stopping twice is safe. */
  stop(): void;
}

let running: AbortController | undefined;

/**
 * Starts to send the visitor's activity on this page, and continues through page changes. If consent is needed, call it
 * after consent was given. Does nothing if the browser asks not to be tracked (Global Privacy Control, Do Not Track) or
 * if the tracker is running. Never throws.
 */
export function start(target: Target): Tracker {
  if (!running) track(target);
  return { stop };
}

/** Stops the tracker. */
export const stop = guarded(() => {
  if (!running) return;
  running.abort();
  running = undefined;
  disconnect();
});

const track = guarded((target: Target) => {
  const asked = navigator as Navigator & { globalPrivacyControl?: boolean };
  if (asked.globalPrivacyControl || asked.doNotTrack === '1') return;
  running = new AbortController();
  const { signal } = running;
  const begin = () => {
    emptyOutbox(currentPage());
    connect(target);
    wake();
    watchHistory(signal);
    // Last, because it uses most of the functions that a page may have replaced.
    addListener(signal, {
      popstate: settle,
      pointermove: pointed,
      pointerdown: pointed,
      pointerup(event) {
        if (event.button) return;
        // A disabled control receives auxclick, but not click.
        if (ask(event.composedPath()[0] as Element, 'closest', ':disabled:not(fieldset)')) clicked(event, 1);
      },
      click: clicked,
      auxclick: clicked,
      scroll: wake,
      resize: resized,
      load: resized,
      visibilitychange() {
        settle();
        if (ask(document, 'hidden')) hide();
        else resume();
      },
      pagehide: suspend,
      pageshow: resume,
      online: resume,
    });
  };
  // The visitor has not yet opened a page that is prerendered.
  if (ask(document, 'prerendering')) addListener(signal, { prerenderingchange: begin });
  else begin();
});
