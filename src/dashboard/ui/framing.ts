/**
 * Whether a site allows its pages in a frame. Scripts cannot detect a refused frame: it fires `load`, and is grey. For
 * the dashboard's own origin, the headers can be read. For others, the person is asked once, and this browser stores
 * the answer.
 */

import { oneOf } from '../shell/readers.ts';
import { storedSetting, storeSetting } from '../shell/stored-setting.ts';

const FRAMINGS = ['unknown', 'shown', 'refused'] as const;
export type Framing = (typeof FRAMINGS)[number];

/** Where nothing may be kept it is known until the dashboard is left. */
const told = new Map<string, Framing>();

/** What is known of an origin's pages. */
export function framingOf(origin: string): Framing {
  return told.get(origin) ?? storedSetting(`framing.${origin}`, oneOf(FRAMINGS)) ?? 'unknown';
}

export function keepFraming(origin: string, framing: Framing): void {
  told.set(origin, framing);
  storeSetting(`framing.${origin}`, framing);
}

/** How long a page may take to say how it may be framed, milliseconds. */
const ASK_MS = 5000;

/** Asks for a page of the own origin how it may be framed. What does not answer is let be. */
export async function askFraming(url: string, end: AbortSignal): Promise<Framing> {
  const signal = AbortSignal.any([end, AbortSignal.timeout(ASK_MS)]);
  const response = await fetch(url, { method: 'HEAD', signal }).catch(() => undefined);
  return response && refusesFrames(response.headers) ? 'refused' : 'shown';
}

/** True if these headers forbid a frame in a page of the same origin. `frame-ancestors` overrides X-Frame-Options. */
export function refusesFrames(headers: Headers): boolean {
  const [, who] = /(?:^|[;,])\s*frame-ancestors([^;,]*)/i.exec(headers.get('content-security-policy') ?? '') ?? [];
  return who === undefined ? /\bdeny\b/i.test(headers.get('x-frame-options') ?? '') : /^\s*('none')?\s*$/i.test(who);
}
