/** The command that takes one visit out of the record. */
import { noted } from './audit.ts';
import { type Command, type ExitCode, onStoreIfSure, refuse, type StoreCall } from './command.ts';
import { YES } from './flags.ts';

export const ERASE_COMMANDS: Readonly<Record<string, Command>> = {
  erase: {
    does: 'removes one visit from the record, counts and heatmaps',
    more: 'VISIT is its id, as in its address on the dashboard. Backups and exports that were made before still have it.',
    usage: 'VISIT [--yes]',
    takes: 'VISIT',
    flags: { yes: YES },
    examples: ['erase Qm3vX0a1b2C3d4E5f6G7h8'],
    run: onStoreIfSure((id) => `visit ${id}`, erase),
  },
};

async function erase({ word, store, io }: StoreCall): Promise<ExitCode> {
  if (!(await store.archive.erase(word, noted('visit-erased', word)))) return refuse(io, `there is no visit ${word}`);
  io.out(`Visit ${word} is erased; counts and heatmaps are those of the others.`);
  return 0;
}
