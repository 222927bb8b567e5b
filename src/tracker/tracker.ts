/**
 * The visitor's part of Fieldmouse, as a module for bundlers; `script.ts` is the same for a script element.
 */
import { wake } from './beat.ts';
import { connect, disconnect, hide, resume, suspend, type Target } from './connection.ts';
import { ask, guard, listen } from './guard.ts';
import { emptyOutbox } from './outbox.ts';
import { clicked, currentPage, pointed, resized, settle, watchHistory } from './sampler.ts';

export type { Target } from './connection.ts';

export interface Tracker {
  /** Says bye, forgets the visitor and leaves the page as it was. Stopping twice is safe. */
  stop(): void;
}

let running: AbortController | undefined;

/**
 * Starts to tell the server what the visitor does on this page, and goes on through page changes. Where consent is
 * needed, call it once that is given. Does nothing when the visitor's browser asks not to be tracked (Global
 * Privacy Control, Do Not Track), and nothing more when it runs already. Never throws.
 */
export function start(target: Target): Tracker {
  if (!running) track(target);
  return { stop };
}

/** Stops what `start` started. */
export const stop = guard(() => {
  if (!running) return;
  running.abort();
  running = undefined;
  disconnect();
});

const track = guard((target: Target) => {
  const asked = navigator as Navigator & { globalPrivacyControl?: boolean };
  if (asked.globalPrivacyControl || asked.doNotTrack === '1') return;
  running = new AbortController();
  const { signal } = running;
  const begin = () => {
    emptyOutbox(currentPage());
    connect(target);
    wake();
    watchHistory(signal);
    // Last, as this needs most of what a page may have replaced.
    listen(signal, {
      popstate: settle,
      pointermove: pointed,
      pointerdown: pointed,
      pointerup(event) {
        if (event.button) return;
        // A disabled control gets no click, but an auxclick.
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
  // A page that is only prepared in case the visitor goes there is not where the visitor is.
  if (ask(document, 'prerendering')) listen(signal, { prerenderingchange: begin });
  else begin();
});
