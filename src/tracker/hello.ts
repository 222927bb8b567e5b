import { type Bytes, encodeFrame, text, varint } from '../protocol/encode.ts';
import { visitor } from './connection.ts';
import { ask } from './guard.ts';
import { measure } from './layout.ts';
import { frontPage, last } from './outbox.ts';
import { token } from './token.ts';
import { originOf } from './web-origin.ts';

/** A hello frame. Its page is that of the first sample that the server does not have: the others follow. */
export function helloFrame(): Bytes {
  // In the order of `encodeHello`.
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
