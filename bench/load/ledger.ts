/**
 * What a simulated fleet has written to Redis and read from it. Writers and readers are counted separately, so that
 * each checks the other.
 */

/** A site's stream: how far it has been written, and by how many it is read. */
interface Stream {
  bytes: number;
  entries: number;
  readers: number;
}

/** A machine's place in a stream. */
type Cursor = Pick<Stream, 'bytes' | 'entries'>;

export class Ledger {
  visits = 0;
  leaves = 0;
  frames = 0;
  samples = 0;
  appends = 0;
  liveEntries = 0;
  /** Sum over writes of what was written, times machines that read it. */
  owed = 0;
  readonly recordBytes: Float64Array;
  readonly liveBytes: Float64Array;
  readonly readBytes: Float64Array;
  readonly readEntries: Float64Array;
  /** Machines that have watched something. */
  readonly watchers = new Set<number>();
  readonly #streams: Stream[];
  readonly #cursors: Map<number, Cursor>[];
  #isOpen = false;

  constructor(machines: number, sites: number) {
    this.recordBytes = new Float64Array(sites);
    this.liveBytes = new Float64Array(sites);
    this.readBytes = new Float64Array(machines);
    this.readEntries = new Float64Array(machines);
    this.#streams = Array.from({ length: sites }, () => ({ bytes: 0, entries: 0, readers: 0 }));
    this.#cursors = Array.from({ length: machines }, () => new Map());
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Counts from now on. */
  open(): void {
    this.#isOpen = true;
    for (const [machine, cursors] of this.#cursors.entries()) if (cursors.size > 0) this.watchers.add(machine);
  }

  /** A machine begins to read behind what is there. */
  watch(machine: number, site: number): void {
    const stream = this.#streams[site] as Stream;
    stream.readers += 1;
    this.#cursors[machine]?.set(site, { ...stream });
    if (this.#isOpen) this.watchers.add(machine);
  }

  unwatch(machine: number, site: number): void {
    this.#read(machine, site);
    this.#cursors[machine]?.delete(site);
    (this.#streams[site] as Stream).readers -= 1;
  }

  /** A frame is written to the record, into a batch of its own or one that is there. */
  record(site: number, bytes: number, samples: number, isNew: boolean): void {
    if (!this.#isOpen) return;
    this.frames += 1;
    this.samples += samples;
    if (isNew) this.appends += 1;
    this.recordBytes[site] = (this.recordBytes[site] as number) + bytes;
  }

  /** Something is written to a site's stream. */
  publish(site: number, bytes: number, isNew: boolean): void {
    if (!this.#isOpen) return;
    const stream = this.#streams[site] as Stream;
    stream.bytes += bytes;
    this.liveBytes[site] = (this.liveBytes[site] as number) + bytes;
    this.owed += bytes * stream.readers;
    if (!isNew) return;
    stream.entries += 1;
    this.liveEntries += 1;
  }

  /** Reads what has not been read. */
  close(): void {
    for (const [machine, cursors] of this.#cursors.entries())
      for (const site of cursors.keys()) this.#read(machine, site);
  }

  #read(machine: number, site: number): void {
    const cursor = this.#cursors[machine]?.get(site) as Cursor;
    const { bytes, entries } = this.#streams[site] as Stream;
    this.readBytes[machine] = (this.readBytes[machine] as number) + bytes - cursor.bytes;
    this.readEntries[machine] = (this.readEntries[machine] as number) + entries - cursor.entries;
    Object.assign(cursor, { bytes, entries });
  }
}
