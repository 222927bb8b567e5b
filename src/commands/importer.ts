/**
 * Imports visits and runs from elsewhere into a store. Existing data stays unchanged, so a repeated import is harmless.
 */
import { DAY_MS } from '../model/day.ts';
import { Writer } from '../protocol/writer.ts';
import type { Archive } from '../store/archive.ts';
import { BatchWriter, PlaceMark } from '../store/record/batch.ts';
import { MAX_RUN_MS, MAX_VISIT_MS } from '../store/record/run-checks.ts';
import { type KnownRun, type KnownVisit, type Line, LineFault } from './record-lines.ts';

/** Size at which a visit's batch is complete, and total size at which a group of batches is written. */
const BATCH_BYTES = 256 * 1024;
const GROUP_BYTES = 4 * 1024 * 1024;
/**
 * How long before its visit a run may start (the clock may have been set), and how long after, milliseconds: then the
 * visit is within MAX_VISIT_MS.
 */
const EARLY_MS = MAX_RUN_MS;
const LATE_MS = MAX_VISIT_MS - EARLY_MS - MAX_RUN_MS;

/** Turns lines into batches, and writes them to the store in groups. */
export class Importer {
  readonly total = { visits: 0, runs: 0 };
  /** Number of visits without runs, which are not stored. */
  empty = 0;
  readonly sites = new Set<string>();
  readonly #archive: Archive;
  readonly #writer = new BatchWriter();
  readonly #payload = new Writer(4096);
  #group: Uint8Array[] = [];
  /** New visits by id, which are not in the store yet. */
  readonly #waiting = new Map<string, Pick<KnownVisit, 'site' | 'since'>>();
  /** When the visit started: according to the export, and according to the record. */
  #starts: number[] = [];
  #bytes = 0;
  #visit: KnownVisit | undefined;
  #mark: PlaceMark | undefined;
  /** Counts since the header; undefined if the next line must be a header. */
  #since: { visits: number; runs: number } | undefined;
  #hasVisit = false;

  constructor(archive: Archive) {
    this.#archive = archive;
  }

  /** Throws LineFault if the line is not allowed here. */
  async take(line: Line): Promise<void> {
    if (line.k === 'header') this.#startVisit();
    else if (this.#since === undefined) throw new LineFault('an export must start with {"fieldmouse":…}');
    else if (line.k === 'end') this.#check(line, this.#since);
    else {
      this.#since[line.k === 'visit' ? 'visits' : 'runs'] += 1;
      if (line.k === 'visit') await this.#checkKnown(line.visit);
      else this.#checkTime(line.run);
      await (line.k === 'visit' ? this.visit(line.visit) : this.run(line.run));
    }
  }

  /** If another site has a visit with this id, the runs would be added to that visit. Throws LineFault. */
  async #checkKnown({ id, site, since }: KnownVisit): Promise<void> {
    const known = this.#waiting.get(id) ?? (await this.#archive.visit(id)) ?? { site, since };
    if (known.site !== site)
      throw new LineFault(
        `visit ${id} belongs to site ${site} here, but to ${known.site} in the record; an id belongs to one visit only`,
      );
    this.#waiting.set(id, { site, since: known.since });
    this.#starts = [since, known.since];
  }

  /** A store goes through the minutes of a visit, and treats a visit that is too long as damaged. Throws LineFault. */
  #checkTime({ t }: KnownRun): void {
    if (this.#starts.some((since) => t < since - EARLY_MS || t > since + LATE_MS))
      throw new LineFault(
        `t is not between ${EARLY_MS / DAY_MS} days before and ${LATE_MS / DAY_MS} days after the start of the visit`,
      );
  }

  #startVisit(): void {
    this.#hasVisit = true;
    this.#since = { visits: 0, runs: 0 };
    this.#endVisit();
  }

  /** The following runs belong to this visit. */
  async visit(visit: KnownVisit): Promise<void> {
    await this.#closeBatch();
    this.#endVisit();
    this.#visit = visit;
    this.#mark = undefined;
    this.sites.add(visit.site);
    this.total.visits += 1;
  }

  #endVisit(): void {
    if (this.#visit && !this.#mark) this.empty += 1;
    this.#visit = undefined;
  }

  /** Throws LineFault before the first visit. */
  async run(run: KnownRun): Promise<void> {
    const visit = this.#visit;
    if (!visit) throw new LineFault('a run must follow its visit');
    const { id, site, ...about } = visit;
    const { n, frames, page, size, entered } = run;
    if (!this.#mark) {
      this.#mark = new PlaceMark({ id, site, page, size });
      this.#writer.about(this.#mark, about);
    } else if (this.#mark.place.page !== page || String(this.#mark.place.size) !== String(size))
      this.#mark = new PlaceMark({ id, site, page, size });
    this.#writer.run(this.#mark, n, frames, entered, this.#withTime(run));
    this.total.runs += 1;
    if (this.#writer.length > BATCH_BYTES) await this.#closeBatch();
  }

  /** Times in a batch are Unix ms, and those of a run are relative to its own. So only the first number changes. */
  #withTime({ t, payload }: KnownRun): Uint8Array {
    this.#payload.clear();
    this.#payload.varint(t);
    this.#payload.raw(payload.subarray(1));
    return this.#payload.view();
  }

  #check({ visits, runs }: { visits: number; runs: number }, since: { visits: number; runs: number }): void {
    this.#since = undefined;
    this.#endVisit();
    if (visits !== since.visits || runs !== since.runs)
      throw new LineFault(
        `it announces ${visits} visits and ${runs} runs, but ${since.visits} and ${since.runs} were read`,
      );
  }

  /** Throws LineFault if the last line did not complete an export. */
  end(): void {
    if (this.#since || !this.#hasVisit) throw new LineFault('the export ends before its last line, {"end":…}');
  }

  async #closeBatch(): Promise<void> {
    if (this.#writer.isEmpty) return;
    const batch = this.#writer.take();
    this.#group.push(batch);
    this.#bytes += batch.length;
    if (this.#bytes >= GROUP_BYTES) await this.flush();
  }

  /** Writes the rest to the store, and compacts everything. */
  async flush(): Promise<void> {
    if (!this.#writer.isEmpty) this.#group.push(this.#writer.take());
    if (this.#group.length > 0) await this.#archive.append(this.#group);
    this.#group = [];
    this.#bytes = 0;
    await this.#archive.compactAll();
    this.#waiting.clear();
  }
}
