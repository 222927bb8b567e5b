/**
 * Whether a site lets its pages be shown in a frame. A browser tells no script of a frame that was refused: it loads like any other, and is
 * grey. Of the dashboard's own origin the answer can be read; of others, who looks is asked once, and the answer kept in this browser.
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

/** Whether these headers keep a page from being shown in a frame of its own origin. `frame-ancestors` outdoes X-Frame-Options. */
export function refusesFrames(headers: Headers): boolean {
  const [, who] = /(?:^|[;,])\s*frame-ancestors([^;,]*)/i.exec(headers.get('content-security-policy') ?? '') ?? [];
  return who === undefined ? /\bdeny\b/i.test(headers.get('x-frame-options') ?? '') : /^\s*('none')?\s*$/i.test(who);
}
