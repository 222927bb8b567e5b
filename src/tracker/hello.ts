import { type Bytes, encodeFrame, putHello } from '../protocol/encode.ts';
import { attempt } from './guard.ts';
import { frontPage, last } from './outbox.ts';
import { begin } from './sampler.ts';

/**
 * A hello frame. `visitor`: whom our frames are numbered for; empty: nobody yet. Its page is that of the first sample that the
 * server does not have: the others follow.
 */
export function helloOf(token: string, visitor: string): Bytes {
  return encodeFrame(
    0,
    0,
    putHello(performance.now(), begin(), token, frontPage(), navigator.language ?? '', referrer(), visitor ? last : 0),
  );
}

/** Origin of the page, or the app, that the visitor came from; empty if there is none. */
function referrer(): string {
  return attempt(() => {
    // `origin` is "null" for all but web pages: an Android app is `android-app://com.example`.
    const { protocol, host } = new URL(document.referrer);
    return host && `${protocol}//${host}`;
  }, '');
}
