/**
 * The classic script: `<script defer src="https://host/fieldmouse.js" data-site="demo"></script>`. It sends to the
 * server that it was loaded from. With `data-consent="required"`, it does nothing before `fieldmouse.start()`.
 */
import { ask, attempt } from './guard.ts';
import { start, stop } from './tracker.ts';
import { originOf } from './web-origin.ts';

declare global {
  interface Window {
    fieldmouse?: { start(): void; stop(): void };
    [LOADED]?: string;
  }
}

/** A symbol, because the name `fieldmouse` may be taken by the page or by an element with that id. */
const LOADED: unique symbol = Symbol.for('fieldmouse') as typeof LOADED;

attempt(() => {
  const script: HTMLScriptElement | null = ask(document, 'currentScript');
  const site = script?.dataset.site;
  // A second script element has no effect.
  if (!site || window[LOADED]) return;
  window[LOADED] = site;
  const target = { site, server: originOf(script.src) };
  if (script.dataset.consent !== 'required') start(target);
  // A variable of the page with this name stays. An element with this id is not an own property of the window.
  // biome-ignore lint/suspicious/noPrototypeBuiltins: Object.hasOwn is newer than everything else here.
  if (!window.hasOwnProperty('fieldmouse')) window.fieldmouse = { start: () => start(target), stop };
});
