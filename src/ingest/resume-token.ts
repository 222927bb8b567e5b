/**
 * The proof that a tab is the visitor it was: `<id>.<time>.<mac>`, signed for one site. Any worker of this
 * installation can check it; nobody else can make it.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** A tab may be left open for long, but not for ever, milliseconds. */
const LIFETIME_MS = 24 * 3_600_000;

/** A visitor's id: 128 random bits, base64url. */
export function newVisitorId(): string {
  return randomBytes(16).toString('base64url');
}

export function signToken(secret: Buffer, site: string, id: string, now: number): string {
  const body = `${id}.${now.toString(36)}`;
  return `${body}.${mac(secret, site, body)}`;
}

/** What a token says. */
export interface Proof {
  /** The visitor's id. */
  id: string;
  /** When the token was made, Unix ms. */
  made: number;
}

/** What a token of ours for this site says if it has not expired, or undefined. */
export function verifyToken(secret: Buffer, site: string, token: string, now: number): Proof | undefined {
  const parts = /^(([A-Za-z0-9_-]{22})\.([0-9a-z]{1,11}))\.([A-Za-z0-9_-]{43})$/.exec(token);
  if (!parts) return undefined;
  const [, body, id, time, given] = parts as unknown as [string, string, string, string, string];
  if (!timingSafeEqual(Buffer.from(given), Buffer.from(mac(secret, site, body)))) return undefined;
  const made = Number.parseInt(time, 36);
  return now - made < LIFETIME_MS ? { id, made } : undefined;
}

function mac(secret: Buffer, site: string, body: string): string {
  return createHmac('sha256', secret).update(`${site}\n${body}`).digest('base64url');
}
