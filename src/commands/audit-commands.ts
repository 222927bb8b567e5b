/** The command that shows the audit trail. */
import { ACTOR, type AuditAction, type AuditEntry, type AuditNote } from '../model/audit.ts';
import { wholeTrail } from '../store/accounts/audit-trail.ts';
import { type Store, StoreError } from '../store/contract.ts';
import {
  type Command,
  type ExitCode,
  type Invocation,
  type Output,
  onStore,
  type StoreInvocation,
  table,
  timeText,
} from './command.ts';

export const AUDIT_COMMANDS: Readonly<Record<string, Command>> = {
  audit: {
    does: 'shows who signed in, and who changed or deleted what',
    more: 'The newest entries come first.',
    usage: '[--format table|ndjson]',
    flags: { format: 'table (the default), or ndjson: one JSON object per line, for programs' },
    examples: ['audit', 'audit --format ndjson > audit.ndjson'],
    check: checkAudit,
    run: onStore(showAudit),
  },
};

function checkAudit({ flags }: Invocation): string[] {
  const [format = 'table', ...more] = flags.format;
  if (more.length > 0) return ['--format: give it only once'];
  return ['table', 'ndjson'].includes(format) ? [] : [`--format: ${JSON.stringify(format)} is not table or ndjson`];
}

async function showAudit({ flags, store, io }: StoreInvocation): Promise<ExitCode> {
  const entries: AuditEntry[] = [];
  for await (const entry of wholeTrail(store)) {
    if (flags.format[0] === 'ndjson') io.out(JSON.stringify(entry));
    else entries.push(entry);
  }
  const rows = entries.map(({ at, who, what, on, from, count }) => [
    timeText(at),
    who,
    what,
    [on, from, count > 1 ? `${count} times` : ''].filter(Boolean).join(' · '),
  ]);
  if (flags.format[0] !== 'ndjson') table(io, ['WHEN', 'WHO', 'WHAT', 'ON'], rows, 'The audit trail is empty.');
  return 0;
}

/** Notes a read-only command in the audit trail. A full disk must not keep people from making a copy. */
export async function noteReading(store: Pick<Store, 'noteNow'>, note: AuditNote, io: Output): Promise<void> {
  try {
    await store.noteNow(note);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    io.err(`fieldmouse: this could not be added to the audit trail: ${error.message}`);
  }
}

/** The audit note of a command. */
export function noted(what: AuditAction, on: string): AuditNote {
  return { at: Date.now(), who: ACTOR.commands, what, on };
}
