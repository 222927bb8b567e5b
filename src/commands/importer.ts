/** Gives a store visits and runs that were kept elsewhere. What is there already stays as it is, so that a repeat is harmless. */
import { DAY_MS } from '../model/day.ts';
import { Writer } from '../protocol/writer.ts';
import type { Archive } from '../store/archive.ts';
import { BatchWriter, PlaceMark } from '../store/record/batch.ts';
import { MAX_RUN_MS, MAX_VISIT_MS } from '../store/record/run-checks.ts';
import { type KnownRun, type KnownVisit, type Line, LineFault } from './record-lines.ts';

/** A visit's batch is given away at so many bytes, and a group of batches at so many in all. */
const BATCH_BYTES = 256 * 1024;
const GROUP_BYTES = 4 * 1024 * 1024;
/**
 * A run may begin so long before its visit, by a clock that was set, and so long after, milliseconds: the visit is then
 * within MAX_VISIT_MS.
 */
const EARLY_MS = MAX_RUN_MS;
const LATE_MS = MAX_VISIT_MS - EARLY_MS - MAX_RUN_MS;

/** Makes batches of lines, and gives them to the store a group at a time. */
export class Importer {
  readonly total = { visits: 0, runs: 0 };
  /** Visits without runs: nothing is kept of these. */
  empty = 0;
  readonly sites = new Set<string>();
  readonly #archive: Archive;
  readonly #writer = new BatchWriter();
  readonly #payload = new Writer(4096);
  #group: Uint8Array[] = [];
  /** Visits that are not in the store yet, by their ids. */
  readonly #waiting = new Map<string, Pick<KnownVisit, 'site' | 'since'>>();
  /** When the visit began, as the export says and as the record says. */
  #begins: number[] = [];
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
    else if (this.#since === undefined) throw new LineFault('an export must start with {"fieldmouse":…}');
    else if (line.k === 'end') this.#check(line, this.#since);
    else {
      this.#since[line.k === 'visit' ? 'visits' : 'runs'] += 1;
      if (line.k === 'visit') await this.#checkKnown(line.visit);
      else this.#checkTime(line.run);
      await (line.k === 'visit' ? this.visit(line.visit) : this.run(line.run));
    }
  }

  /** A visit of an id that another site has would go to that site's. Throws LineFault. */
  async #checkKnown({ id, site, since }: KnownVisit): Promise<void> {
    const known = this.#waiting.get(id) ?? (await this.#archive.visit(id)) ?? { site, since };
    if (known.site !== site)
      throw new LineFault(
        `visit ${id} belongs to site ${site} here, but to ${known.site} in the record; an id belongs to one visit only`,
      );
    this.#waiting.set(id, { site, since: known.since });
    this.#begins = [since, known.since];
  }

  /** A store goes through the minutes of a visit, and takes one that is too long for damaged. Throws LineFault. */
  #checkTime({ t }: KnownRun): void {
    if (this.#begins.some((since) => t < since - EARLY_MS || t > since + LATE_MS))
      throw new LineFault(
        `t is not between ${EARLY_MS / DAY_MS} days before and ${LATE_MS / DAY_MS} days after the start of the visit`,
      );
  }

  #begin(): void {
    this.#hasBegun = true;
    this.#since = { visits: 0, runs: 0 };
    this.#endVisit();
  }

  /** The runs that follow are of this visit. */
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

  /** Times in a batch are Unix ms, and those of a run count from its own: only the first number is another. */
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

  /** Throws LineFault if the last line was not the last of an export. */
  end(): void {
    if (this.#since || !this.#hasBegun) throw new LineFault('the export ends before its last line, {"end":…}');
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
    await this.#archive.compactAll();
    this.#waiting.clear();
  }
}
