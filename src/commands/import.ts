/** The command that reads an export. What is there already stays as it is, so that a repeat is harmless. */
import { createReadStream, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Writer } from '../protocol/writer.ts';
import type { Archive } from '../store/archive.ts';
import { BatchWriter, PlaceMark } from '../store/record/batch.ts';
import { noted } from './audit.ts';
import { type Bar, createBar } from './bar.ts';
import { type Command, type ExitCode, type Output, onStore, refuse, type StoreCall } from './command.ts';
import { linesOf } from './lines.ts';
import { type KnownRun, type KnownVisit, type Line, LineFault, readLine } from './record-lines.ts';

export const IMPORT_HELP = '  fieldmouse import FILE|-       reads an export; what is there already is passed over';

export const IMPORT_COMMANDS: Readonly<Record<string, Command>> = {
  import: { takes: 'FILE or -', run: onStore(importRecord) },
};

/** A visit's batch is given away at so many bytes, and a group of batches at so many in all. */
const BATCH_BYTES = 256 * 1024;
const GROUP_BYTES = 4 * 1024 * 1024;

async function importRecord({ word, store, io }: StoreCall): Promise<ExitCode> {
  const path = resolve(word);
  const stat = word === '-' ? undefined : statSync(path, { throwIfNoEntry: false });
  if (word !== '-' && !stat?.isFile()) return refuse(io, `${path}: there is no such file`);
  const importer = new Importer(store.archive);
  const bar = createBar(io.screen, 'importing', 'bytes');
  const input = word === '-' ? io.input : createReadStream(path);
  const fault = await readAll(linesOf(input), importer, stat?.size ?? 0, bar);
  await importer.flush();
  bar.end();
  const { visits, runs } = importer.total;
  await store.noteNow(noted('imported', `${visits} visits with ${runs} runs`));
  if (fault) return refuse(io, `${word === '-' ? 'the input' : path}, ${fault}; what comes before is imported`);
  io.out(`${importer.total.visits} visits with ${importer.total.runs} runs were read and are in the record.`);
  await nameUnknown(importer, store, io);
  return 0;
}

/** Reads until the first fault, and says what and where it is. */
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

async function nameUnknown({ sites }: Importer, store: StoreCall['store'], io: Output): Promise<void> {
  for (const site of sites)
    if ((await store.site(site)) === undefined)
      io.out(`There is no site ${site} here: its visits show when there is (fieldmouse site add ${site} …).`);
}

/** Makes batches of lines, and gives them to the store a group at a time. */
class Importer {
  readonly total = { visits: 0, runs: 0 };
  readonly sites = new Set<string>();
  readonly #archive: Archive;
  readonly #writer = new BatchWriter();
  readonly #payload = new Writer(4096);
  #group: Uint8Array[] = [];
  #bytes = 0;
  #visit: KnownVisit | undefined;
  #mark: PlaceMark | undefined;
  /** Since the header; undefined where a header is due. */
  #since: { visits: number; runs: number } | undefined;
  #hasBegun = false;

  constructor(archive: Archive) {
    this.#archive = archive;
  }

  /** Throws LineFault where the line has no place. */
  async take(line: Line): Promise<void> {
    if (line.k === 'header') this.#begin();
    else if (this.#since === undefined) throw new LineFault('an export begins with {"fieldmouse":…}');
    else if (line.k === 'visit') await this.#startVisit(line.visit, this.#since);
    else if (line.k === 'run') await this.#addRun(line.run, this.#since);
    else this.#check(line, this.#since);
  }

  #begin(): void {
    this.#hasBegun = true;
    this.#since = { visits: 0, runs: 0 };
    this.#visit = undefined;
  }

  async #startVisit(visit: KnownVisit, since: { visits: number }): Promise<void> {
    await this.#closeBatch();
    this.#visit = visit;
    this.#mark = undefined;
    this.sites.add(visit.site);
    this.total.visits += 1;
    since.visits += 1;
  }

  async #addRun(run: KnownRun, since: { runs: number }): Promise<void> {
    const visit = this.#visit;
    if (!visit) throw new LineFault('a run follows the visit that it is of');
    const { id, site, ...about } = visit;
    const { n, frames, page, size, entered } = run;
    if (!this.#mark) {
      this.#mark = new PlaceMark({ id, site, page, size });
      this.#writer.about(this.#mark, about);
    } else if (this.#mark.place.page !== page || String(this.#mark.place.size) !== String(size))
      this.#mark = new PlaceMark({ id, site, page, size });
    this.#writer.run(this.#mark, n, frames, entered, this.#withTime(run));
    this.total.runs += 1;
    since.runs += 1;
    if (this.#writer.length > BATCH_BYTES) await this.#closeBatch();
  }

  /** Times in a batch are Unix ms, and those of a run count from its own: only the first number is another. */
  #withTime({ t, payload }: KnownRun): Uint8Array {
    this.#payload.clear();
    this.#payload.varint(t);
    this.#payload.raw(payload.subarray(1));
    return this.#payload.view();
  }

  #check({ visits, runs }: { visits: number; runs: number }, since: { visits: number; runs: number }): void {
    this.#since = undefined;
    if (visits !== since.visits || runs !== since.runs)
      throw new LineFault(`it tells of ${visits} visits and ${runs} runs, and ${since.visits} and ${since.runs} came`);
  }

  /** Throws LineFault if the last line was not the last of an export. */
  end(): void {
    if (this.#since || !this.#hasBegun) throw new LineFault('it ends before its last line, {"end":…}');
  }

  async #closeBatch(): Promise<void> {
    if (this.#writer.isEmpty) return;
    const batch = this.#writer.take();
    this.#group.push(batch);
    this.#bytes += batch.length;
    if (this.#bytes >= GROUP_BYTES) await this.flush();
  }

  /** Gives the store what is left, and has all of it filed. */
  async flush(): Promise<void> {
    if (!this.#writer.isEmpty) this.#group.push(this.#writer.take());
    if (this.#group.length > 0) await this.#archive.append(this.#group);
    this.#group = [];
    this.#bytes = 0;
    await this.#archive.fileAll();
  }
}
