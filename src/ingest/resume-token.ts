/**
 * The proof that a tab is the visitor it was: `<id>.<born>.<made>.<mac>`, signed for one site. Any worker of this
 * installation can check it; nobody else can make it.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** A visitor's id: 128 random bits, base64url. */
export function newVisitorId(): string {
  return randomBytes(16).toString('base64url');
}

/** `born`: when the visitor first came, Unix ms. */
export function signToken(secret: Buffer, site: string, id: string, born: number, now: number): string {
  const body = `${id}.${born.toString(36)}.${now.toString(36)}`;
  return `${body}.${mac(secret, site, body)}`;
}

/** What a token says. */
export interface Proof {
  /** The visitor's id. */
  id: string;
  /** When the visitor first came, Unix ms. */
  born: number;
  /** When the token was made, Unix ms. */
  made: number;
}

/** What a token of ours for this site says, or undefined. */
export function verifyToken(secret: Buffer, site: string, token: string): Proof | undefined {
  const parts = /^(([A-Za-z0-9_-]{22})\.([0-9a-z]{1,11})\.([0-9a-z]{1,11}))\.([A-Za-z0-9_-]{43})$/.exec(token);
  if (!parts) return undefined;
  const [, body, id, born, made, given] = parts as unknown as [string, string, string, string, string, string];
  if (!timingSafeEqual(Buffer.from(given), Buffer.from(mac(secret, site, body)))) return undefined;
  return { id, born: Number.parseInt(born, 36), made: Number.parseInt(made, 36) };
}

function mac(secret: Buffer, site: string, body: string): string {
  return createHmac('sha256', secret).update(`${site}\n${body}`).digest('base64url');
}
