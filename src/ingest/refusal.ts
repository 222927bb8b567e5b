/** Why nobody more is let in, as HTTP says it. */
import type { Refused } from './admission.ts';

export const REFUSALS: Record<Refused, { status: number; detail: string }> = {
  'worker-full': { status: 503, detail: 'No room for more visitors.' },
  'address-full': { status: 429, detail: 'Too many visitors of one address.' },
  'address-fast': { status: 429, detail: 'Too many new visitors of one address.' },
};

/** When to come again, seconds. */
export const RETRY_S = 10;
