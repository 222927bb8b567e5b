/** The HTTP problems for connections that are not let in. */
import type { Refused } from './admission.ts';

export const REFUSALS: Record<Refused, { status: 429 | 503; detail: string }> = {
  'worker-full': { status: 503, detail: 'The server cannot take more visitors.' },
  'address-full': { status: 429, detail: 'Too many visitors from one address.' },
  'address-fast': { status: 429, detail: 'Too many new visitors from one address.' },
};

/** The Retry-After value, seconds. */
export const RETRY_S = 10;
