/**
 * The classic script: `<script defer src="https://host/fieldmouse.js" data-site="demo"></script>`. The server is
 * where the script came from. With `data-consent="required"` nothing happens before `fieldmouse.start()`.
 */
import { guard } from './guard.ts';
import { start, stop } from './tracker.ts';

declare global {
  interface Window {
    fieldmouse?: { start(): void; stop(): void };
  }
}

const script = document.currentScript as HTMLScriptElement | null;
const site = script?.dataset.site;
// A second element with this script changes nothing.
if (site && !window.fieldmouse)
  guard(() => {
    const target = { site, server: new URL(script.src).origin };
    window.fieldmouse = { start: () => start(target), stop };
    if (script.dataset.consent !== 'required') start(target);
  })();
