/**
 * Whether a site allows its pages in a frame. Scripts cannot detect a refused frame: it fires `load`, and is grey. For
 * the dashboard's own origin, the headers can be read. For others, the person is asked once, and this browser stores
 * the answer.
 */

import { oneOf } from '../shell/readers.ts';
import { storedSetting, storeSetting } from '../shell/stored-setting.ts';

const FRAMINGS = ['unknown', 'shown', 'refused'] as const;
export type Framing = (typeof FRAMINGS)[number];

/** Answers since the dashboard was opened. They are lost when it is closed, if the browser allows no storage. */
const answers = new Map<string, Framing>();

/** The stored answer for the pages of an origin; `unknown` if there is none. */
export function framingOf(origin: string): Framing {
  return answers.get(origin) ?? storedSetting(`framing.${origin}`, oneOf(FRAMINGS)) ?? 'unknown';
}

export function storeFraming(origin: string, framing: Framing): void {
  answers.set(origin, framing);
  storeSetting(`framing.${origin}`, framing);
}

/** Maximum time for the headers of a page, milliseconds. */
const TIMEOUT_MS = 5000;

/** Requests the headers of a page of the dashboard's own origin. A page that does not respond counts as `shown`. */
export async function askFraming(url: string, end: AbortSignal): Promise<Framing> {
  const signal = AbortSignal.any([end, AbortSignal.timeout(TIMEOUT_MS)]);
  const response = await fetch(url, { method: 'HEAD', signal }).catch(() => undefined);
  return response && refusesFrames(response.headers) ? 'refused' : 'shown';
}

/** True if these headers forbid a frame in a page of the same origin. `frame-ancestors` overrides X-Frame-Options. */
export function refusesFrames(headers: Headers): boolean {
  const [, source] = /(?:^|[;,])\s*frame-ancestors([^;,]*)/i.exec(headers.get('content-security-policy') ?? '') ?? [];
  return source === undefined
    ? /\bdeny\b/i.test(headers.get('x-frame-options') ?? '')
    : /^\s*('none')?\s*$/i.test(source);
}
