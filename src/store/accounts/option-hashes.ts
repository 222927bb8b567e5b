/** Keyed hashes of a server's options. They show whether an option has changed, and nothing else about it. */
import { createHmac } from 'node:crypto';
import { ACTOR, type AuditNote } from '../../model/audit.ts';

export type OptionHashes = readonly (readonly [name: string, hash: string])[];

/** Returns the hashes of all options. */
export function hashOptions(secret: Buffer, options: Readonly<Record<string, unknown>>): OptionHashes {
  return Object.entries(options).map(([name, value]) => [
    name,
    createHmac('sha256', secret)
      .update(JSON.stringify([name, value]))
      .digest('base64url'),
  ]);
}

/**
 * Returns a note with the names of the options that changed since the last start, or undefined if none did. An option
 * that an earlier version did not have counts as unchanged.
 */
export function optionsNote(
  hashes: OptionHashes,
  before: (name: string) => string | undefined,
  now: number,
): AuditNote | undefined {
  const changed = hashes.filter(([name, hash]) => (before(name) ?? hash) !== hash).map(([name]) => name);
  if (changed.length === 0) return undefined;
  return { at: now, who: ACTOR.server, what: 'options-changed', on: changed.join(', ') };
}
