/** The command that deletes one visit from the record. */
import { noted } from './audit-commands.ts';
import { type Command, type ExitCode, onStoreIfSure, refuseRunning, type StoreInvocation } from './command.ts';
import { YES } from './flags.ts';

export const ERASE_COMMANDS: Readonly<Record<string, Command>> = {
  erase: {
    does: 'deletes one visit from the record, counts and heatmaps',
    more: 'VISIT is the id in the dashboard URL of the visit. Earlier backups and exports still contain the visit.',
    usage: 'VISIT [--yes]',
    takes: 'VISIT',
    flags: { yes: YES },
    examples: ['erase Qm3vX0a1b2C3d4E5f6G7h8'],
    run: onStoreIfSure((id) => `visit ${id}`, erase),
  },
};

async function erase({ word, store, io }: StoreInvocation): Promise<ExitCode> {
  if (!(await store.archive.erase(word, noted('visit-erased', word))))
    return refuseRunning(io, `there is no visit ${word}`);
  io.out(`Deleted visit ${word}; counts and heatmaps no longer include it.`);
  return 0;
}
