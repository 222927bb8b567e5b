/** The command that takes one visit out of the record. */
import { noted } from './audit.ts';
import { type Command, type ExitCode, onRecord, refuse, type StoreCall } from './command.ts';

export const ERASE_HELP =
  '  fieldmouse erase VISIT         removes a visit, by its id, and what it added to counts and heatmaps';

export const ERASE_COMMANDS: Readonly<Record<string, Command>> = {
  erase: { takes: 'VISIT', run: onRecord(erase) },
};

async function erase({ word, store, io }: StoreCall): Promise<ExitCode> {
  if (!(await store.archive.erase(word, noted('visit-erased', word)))) return refuse(io, `there is no visit ${word}`);
  io.out(`Visit ${word} is erased; counts and heatmaps are those of the others.`);
  return 0;
}
