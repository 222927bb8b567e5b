import { type Bytes, encodeFrame, putHello } from '../protocol/encode.ts';
import { ask } from './guard.ts';
import { measure } from './layout.ts';
import { frontPage, last } from './outbox.ts';
import { told } from './sampler.ts';

/**
 * A hello frame. `visitor`: whom our frames are numbered for; empty: nobody yet. Its page is that of the first sample that the
 * server does not have: the others follow.
 */
export function helloOf(token: string, visitor: string): Bytes {
  const size = measure();
  // What a hello does not tell will be added anew.
  told.splice(0, 4, String(size), false);
  return encodeFrame(
    0,
    0,
    putHello(window.performance.now(), size, token, frontPage(), navigator.language, referrer(), visitor ? last : 0),
  );
}

/**
 * Origin of the page, or the app, that the visitor came from; empty if there is none. It is cut out as text: `origin` of a URL is
 * "null" for all but web pages, and an Android app is `android-app://com.example`.
 */
function referrer(): string {
  return ask(document, 'referrer').split(/[/?#]/, 3).join('/');
}
