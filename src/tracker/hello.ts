import { type Bytes, encodeFrame, text, varint } from '../protocol/encode.ts';
import { visitor } from './connection.ts';
import { ask } from './guard.ts';
import { measure } from './layout.ts';
import { frontPage, last } from './outbox.ts';
import { token } from './token.ts';
import { originOf } from './web-origin.ts';

/** A hello frame. It names the page of the first sample that the server does not have; later pages are samples. */
export function helloFrame(): Bytes {
  // In the same order as `encodeHello`.
  const payload = [window.performance.now(), ...measure()]
    .flatMap(varint)
    .concat(
      text(token, 128),
      text(frontPage(), 1024),
      text(navigator.language, 35),
      text(originOf(ask(document, 'referrer')), 256),
      varint(visitor ? last : 0),
    );
  return encodeFrame(0, 0, payload);
}
