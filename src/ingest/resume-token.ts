/**
 * Proves that a tab is the visitor that it was before: `<id>.<born>.<made>.<n>.<mac>`, signed for one site. Any worker
 * of this installation can check it; nobody else can make it.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** Returns a new visitor id: 128 random bits, base64url. */
export function newVisitorId(): string {
  return randomBytes(16).toString('base64url');
}

/** Returns a token. `born`: when the visitor first came, Unix ms. `n`: the number of its last known frame; 0: none. */
export function signToken(secret: Buffer, site: string, id: string, born: number, now: number, n = 0): string {
  const numbers = [born, now, ...(n > 0 ? [n] : [])].map((number) => number.toString(36));
  const body = [id, ...numbers].join('.');
  return `${body}.${mac(secret, site, body)}`;
}

/** The contents of a token. */
export interface Proof {
  /** The visitor's id. */
  id: string;
  /** When the visitor first came, Unix ms. */
  born: number;
  /** When the token was made, Unix ms. */
  made: number;
  /** The number of the visitor's last frame known at that time, if any. Missing in tokens of former versions. */
  n?: number;
}

const NUMBER = '[0-9a-z]{1,11}';
const BODY = `(?<id>[A-Za-z0-9_-]{22})\\.(?<born>${NUMBER})\\.(?<made>${NUMBER})(?:\\.(?<n>${NUMBER}))?`;
const TOKEN = new RegExp(`^(?<body>${BODY})\\.(?<given>[A-Za-z0-9_-]{43})$`);

/** Returns the contents of a valid token of ours for this site, or undefined. */
export function verifyToken(secret: Buffer, site: string, token: string): Proof | undefined {
  const found = TOKEN.exec(token)?.groups;
  if (!found) return undefined;
  const { body = '', id = '', born = '', made = '', n, given = '' } = found;
  if (!timingSafeEqual(Buffer.from(given), Buffer.from(mac(secret, site, body)))) return undefined;
  const last = n === undefined ? {} : { n: Number.parseInt(n, 36) };
  return { id, born: Number.parseInt(born, 36), made: Number.parseInt(made, 36), ...last };
}

function mac(secret: Buffer, site: string, body: string): string {
  return createHmac('sha256', secret).update(`${site}\n${body}`).digest('base64url');
}
