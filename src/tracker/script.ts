/**
 * The classic script: `<script defer src="https://host/fieldmouse.js" data-site="demo"></script>`. The server is
 * where the script came from. With `data-consent="required"` nothing happens before `fieldmouse.start()`.
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

/** Not `fieldmouse`: an element with that id, or the page, may have taken the name. */
const LOADED: unique symbol = Symbol.for('fieldmouse') as typeof LOADED;

attempt(() => {
  const script: HTMLScriptElement | null = ask(document, 'currentScript');
  const site = script?.dataset.site;
  // A second element with this script changes nothing.
  if (!site || window[LOADED]) return;
  window[LOADED] = site;
  const target = { site, server: originOf(script.src) };
  if (script.dataset.consent !== 'required') start(target);
  // What the page itself calls so stays; an element of that id is no property of the window's own.
  // biome-ignore lint/suspicious/noPrototypeBuiltins: browsers got Object.hasOwn later than all else in here.
  if (!window.hasOwnProperty('fieldmouse')) window.fieldmouse = { start: () => start(target), stop };
});
