/** What is stored of a server's options: keyed hashes, which tell whether an option has changed and nothing else. */
import { createHmac } from 'node:crypto';
import { ACTOR, type AuditNote } from '../../model/audit.ts';

export type OptionHashes = readonly (readonly [name: string, hash: string])[];

/** The hashes of all options, by name. */
export function hashOptions(secret: Buffer, options: Readonly<Record<string, unknown>>): OptionHashes {
  return Object.entries(options).map(([name, value]) => [
    name,
    createHmac('sha256', secret)
      .update(JSON.stringify([name, value]))
      .digest('base64url'),
  ]);
}

/**
 * A note with the names of options that differ from those of the last start, or undefined if none does. An option that
 * an earlier version did not have has not changed.
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
