/** The description of a visitor that is sent to the primary. */

import { deviceOf } from '../model/visitor.ts';
import type { Hello } from '../protocol/frame.ts';
import type { Arrival } from '../protocol/ipc.ts';

/** What a request says about a visitor before any frame. */
export interface Contact {
  site: string;
  page: string;
  origin: string;
  /** Two capital letters, or empty. */
  country: string;
}

/**
 * `hello` is undefined for simple clients, which do not describe themselves. `since`: when the visitor first came, Unix
 * ms.
 */
export function arrivalOf(contact: Contact, id: string, hello: Hello | undefined, since: number): Arrival {
  const size: Arrival['size'] = hello ? [hello.vw, hello.vh, hello.dw, hello.dh] : [0, 0, 0, 0];
  return {
    id,
    site: contact.site,
    page: hello?.page || contact.page,
    origin: contact.origin,
    since,
    device: deviceOf(size[0]),
    size,
    at: null,
    hidden: false,
    label: '',
    language: hello?.language ?? '',
    // Another page of the same site is not a referrer.
    referrer: hello && hello.referrer !== contact.origin ? hello.referrer : '',
  };
}
