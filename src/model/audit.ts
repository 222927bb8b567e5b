/** The audit trail: who did what to sign-ins, rights, sites and the record. Never addresses, tokens or other secrets. */

/** What can be in the trail. */
export const AUDIT_ACTIONS = [
  'signed-in',
  'sign-in-refused',
  'signed-out',
  'session-ended',
  'password-set',
  'password-reset',
  'admin-added',
  'admin-changed',
  'admin-removed',
  'link-made',
  'token-made',
  'token-revoked',
  'site-added',
  'site-changed',
  'site-removed',
  'visit-erased',
  'hits-removed',
  'exported',
  'imported',
  'backed-up',
  'restored',
  'options-changed',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** What anybody can do as often as they like: the same again within AUDIT.together is counted on the entry that there is. */
export const REPEATED: ReadonlySet<AuditAction> = new Set(['signed-in', 'sign-in-refused']);

/** The newest `most` are kept, for `age` milliseconds; texts are cut at `text` characters. */
export const AUDIT = { most: 10_000, age: 400 * 24 * 3_600_000, together: 3_600_000, text: 300 } as const;

/** Who did it, where it was no administrator. A token is `token NAME`; names of administrators have no space. */
export const ACTOR = { commands: 'command line', server: 'server', unknown: 'unknown name' } as const;

export interface AuditNote {
  /** Unix ms. */
  at: number;
  who: string;
  what: AuditAction;
  /** What it was done to, or how; in a few words. */
  on: string;
  /** The browser, in a few words. */
  from?: string;
}

export interface AuditEntry extends Required<AuditNote> {
  /** How often, within AUDIT.together of `at`. */
  count: number;
}

export interface AuditQuery {
  who?: string;
  what?: AuditAction;
  /** A cursor. */
  after?: string;
  limit: number;
}
