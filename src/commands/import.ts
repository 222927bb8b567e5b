/** The command that imports an export. Existing data stays unchanged, so a repeated import is harmless. */
import { createReadStream, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { noted } from './audit-commands.ts';
import { type Command, type ExitCode, type Output, onStore, refuseRunning, type StoreInvocation } from './command.ts';
import { Importer } from './importer.ts';
import { linesOf } from './lines.ts';
import { type Bar, createBar } from './progress-bar.ts';
import { LineFault, readLine } from './record-lines.ts';

export const IMPORT_COMMANDS: Readonly<Record<string, Command>> = {
  import: {
    does: 'imports an export; data that is already stored is skipped',
    more:
      'Repeating it is safe. A dash reads standard input. The import stops at the first error and reports its ' +
      'line.',
    usage: 'FILE|-',
    takes: 'FILE or -',
    options: ['data', 'redis', 'maxStore'],
    examples: ['import record.ndjson', 'import - < record.ndjson'],
    run: onStore(importRecord),
  },
};

async function importRecord({ word, store, io }: StoreInvocation): Promise<ExitCode> {
  const path = resolve(word);
  const stat = word === '-' ? undefined : statSync(path, { throwIfNoEntry: false });
  if (word !== '-' && !stat?.isFile()) return refuseRunning(io, `${path}: no such file`);
  const importer = new Importer(store.archive);
  const bar = createBar(io.screen, 'importing', 'bytes');
  const input = word === '-' ? io.input : createReadStream(path);
  const fault = await readAll(linesOf(input), importer, stat?.size ?? 0, bar);
  await importer.flush();
  bar.end();
  const { runs } = importer.total;
  const visits = importer.total.visits - importer.empty;
  await store.noteNow(noted('imported', `${visits} visits with ${runs} runs`));
  if (fault)
    return refuseRunning(io, `${word === '-' ? 'the input' : path}, ${fault}; everything before it was imported`);
  io.out(`Read ${visits} visits with ${runs} runs; all of them are in the record.`);
  if (importer.empty > 0) io.out(`${importer.empty} more visits have no runs and are not stored.`);
  await nameUnknown(importer, store, io);
  return 0;
}

/** Reads until the first error, and reports it with its place. */
async function readAll(
  lines: ReturnType<typeof linesOf>,
  importer: Importer,
  size: number,
  bar: Bar,
): Promise<string | undefined> {
  let no = 0;
  try {
    for await (const line of lines) {
      no = line.no;
      await importer.take(readLine(line.text));
      bar.show(line.bytes, size);
    }
    no += 1;
    importer.end();
    return undefined;
  } catch (error) {
    if (!(error instanceof LineFault)) throw error;
    return `line ${error.no ?? no}: ${error.message}`;
  }
}

async function nameUnknown({ sites }: Importer, store: StoreInvocation['store'], io: Output): Promise<void> {
  for (const site of sites)
    if ((await store.site(site)) === undefined)
      io.out(`There is no site ${site} here; add it to see its visits (fieldmouse site add ${site} …).`);
}
