/**
 * The audit trail: who did what to sign-ins, rights, sites and the record. Never addresses, tokens or other secrets.
 */

/** The actions in the trail. */
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

/**
 * Actions that anybody can repeat as often as they like. Repetitions within AUDIT.together are counted on the existing
 * entry.
 */
export const REPEATED: ReadonlySet<AuditAction> = new Set(['signed-in', 'sign-in-refused']);

/** The newest `most` entries are kept for `age` milliseconds. Texts are cut at `text` characters. */
export const AUDIT = { most: 10_000, age: 400 * 24 * 3_600_000, together: 3_600_000, text: 300 } as const;

/** Actors that are no administrators. A token is `token NAME`; names of administrators have no space. */
export const ACTOR = { commands: 'command line', server: 'server', unknown: 'unknown name' } as const;

export interface AuditNote {
  /** Unix ms. */
  at: number;
  who: string;
  what: AuditAction;
  /** The object or the manner of the action, in a few words. */
  on: string;
  /** Short name of the browser. */
  from?: string;
}

export interface AuditEntry extends Required<AuditNote> {
  /** Number of repetitions within AUDIT.together of `at`. */
  count: number;
}

export interface AuditQuery {
  who?: string;
  what?: AuditAction;
  /** A cursor. */
  after?: string;
  limit: number;
}
