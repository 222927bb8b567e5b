/** The Host of a request. Two readers of one request must not see different hosts. */
import type { IncomingMessage } from 'node:http';

/** True if a request has exactly one Host; with HTTP/1.0 it may have none (RFC 9112 section 3.2). */
export function hasOneHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts === 1 || (hosts === 0 && httpVersion === '1.0');
}
