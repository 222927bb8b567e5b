import { type Bytes, encodeFrame, putHello } from '../protocol/encode.ts';
import { visitor } from './connection.ts';
import { ask } from './guard.ts';
import { measure } from './layout.ts';
import { frontPage, last } from './outbox.ts';
import { told } from './sampler.ts';
import { token } from './token.ts';
import { originOf } from './web-origin.ts';

/**
 * A hello frame. `visitor`: whom our frames are numbered for; empty: nobody yet. Its page is that of the first sample that the
 * server does not have: the others follow.
 */
export function helloFrame(): Bytes {
  const size = measure();
  // What a hello does not tell will be added anew.
  told.splice(0, 4, String(size), false);
  return encodeFrame(
    0,
    0,
    putHello(
      window.performance.now(),
      size,
      token,
      frontPage(),
      navigator.language,
      originOf(ask(document, 'referrer')),
      visitor ? last : 0,
    ),
  );
}
