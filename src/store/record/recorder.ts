/**
 * A worker's side of the record. Collects its visitors' frames and passes them to the store, one group at a time. If
 * the store fails, the frames are not kept here: the visitors still have them and send them again.
 */
import { getOrInsert } from '../../lib/get-or-insert.ts';
import { PunctualTimer } from '../../lib/punctual-timer.ts';
import { SampleBuffer } from '../../protocol/frame.ts';
import type { Archive } from '../archive.ts';
import { type AboutVisit, BatchWriter, type PlaceEntry, PlaceMark } from './batch.ts';
import { shardOf, siteShardOf } from './shard.ts';

/** Maximum size of the data that waits for the store, bytes. Above it the store counts as unavailable. */
const MAX_WAITING = 16 * 1024 * 1024;
/** Batches are closed at about this size, bytes. Larger values need contiguous pages in LMDB. */
const MAX_BATCH = 16 * 1024;
/** Writers that were idle for this many groups are dropped. */
const IDLE_GROUPS = 1000;
/** How often the store is tried again after a failure, milliseconds. */
const PROBE_MS = 1000;
/** Minimum time between two reports of a failure, milliseconds. */
const REPORT_INTERVAL_MS = 60_000;

export interface RecorderOptions {
  archive: Pick<Archive, 'append'>;
  /** Time between two commits, milliseconds. */
  commitMs: number;
  /** Called when the store fails or works again: at once, but at most once a minute, however often it changes. */
  onTrouble(error: unknown): void;
  onRecovery(): void;
  /** Called when a group has been stored. `ms`: how long that took. */
  onCommit?(ms: number): void;
  /** The store separates sites: a batch has frames of one site only, and of one of its shards. */
  bySite?: boolean;
}

/** Batch writers by shard, of one site or of all sites. */
interface ShardQueue {
  writers: (BatchWriter | undefined)[];
  /** Number of the last group with data of this queue. */
  group: number;
}

/** One visitor's frames on their way into the store. */
export class Recording {
  /** Numbers of the last frame that was taken, and of the last that is stored. */
  taken: number;
  kept: number;
  /** A frame was not stored: no more frames are taken, and the visitor has to connect again and resend. */
  broken = false;
  /** Number of the last group with frames of this recording. */
  group = 0;
  readonly #recorder: Recorder;
  readonly #queue: ShardQueue;
  readonly #shard: number;
  #mark: PlaceMark;
  #known: AboutVisit;
  /** The description to write with the next frame. */
  #unsentAbout: AboutVisit | undefined;

  /** `n`: the number before the visitor's next frame. */
  constructor(recorder: Recorder, place: PlaceEntry, about: AboutVisit, n: number) {
    this.#recorder = recorder;
    this.#queue = recorder.queue(place.site);
    this.#shard = recorder.shardOf(place.id);
    this.#mark = new PlaceMark(place);
    this.#known = about;
    this.#unsentAbout = about;
    this.taken = n;
    this.kept = n;
  }

  /** Records a page load, as a frame without samples numbered `n`. */
  enter(n: number, now: number): void {
    this.#write(n, true, false, NO_SAMPLES, 0, now);
  }

  /**
   * Takes frame `n`, if its number is higher than all before. `page` and `size`: at the start of the frame. `shift` is
   * added to its times to get Unix ms. `late`: the visitor has left that page.
   */
  take(
    n: number,
    page: string,
    size: PlaceEntry['size'],
    samples: SampleBuffer,
    shift: number,
    now: number,
    late = false,
  ): void {
    if (n <= this.taken) return;
    this.#move(page, size);
    this.#write(n, false, late, samples, shift, now);
  }

  /** Sets the label that the visitor's page has set. */
  name(label: string): void {
    this.#known = { ...this.#known, label };
    this.#unsentAbout = this.#known;
  }

  /** Returns a new recording that continues after number `n` and replaces a broken one. */
  restart(n: number): Recording {
    return new Recording(this.#recorder, this.#mark.place, this.#known, n);
  }

  #move(page: string, size: PlaceEntry['size']): void {
    const { place } = this.#mark;
    if (place.page === page && place.size === size) return;
    this.#mark = new PlaceMark({ ...place, page, size });
  }

  #write(n: number, entered: boolean, late: boolean, samples: SampleBuffer, shift: number, now: number): void {
    if (this.broken || !this.#recorder.hasRoom) {
      this.broken = true;
      this.#recorder.unstored += 1;
      return;
    }
    this.#recorder.frames += 1;
    this.#recorder.samples += samples.count;
    const writer = this.#recorder.writer(this.#queue, this.#shard, this);
    const before = writer.length;
    if (this.#unsentAbout) writer.about(this.#mark, this.#unsentAbout);
    this.#unsentAbout = undefined;
    writer.frame(this.#mark, n, entered, samples, shift, now, late);
    this.#recorder.countBytes(writer.length - before);
    this.taken = n;
  }

  /** Gives back memory that is needed only while frames arrive. */
  rest(): void {
    this.#mark.rest();
  }

  /** Resolves when all taken frames are stored, or have failed. */
  settled(): Promise<void> {
    return this.broken ? Promise.resolve() : this.#recorder.committed(this);
  }
}

/** A group that is being committed: its batches, the recordings in it, and the last frame of each. */
interface Group {
  batches: Uint8Array[];
  recordings: Recording[];
  taken: number[];
}

export class Recorder {
  /** Frames and samples taken so far, and frames that could not be taken. */
  frames = 0;
  samples = 0;
  unstored = 0;
  readonly #options: RecorderOptions;
  readonly shardOf: (id: string) => number;
  /** Queues by site, or one for all. */
  readonly #queues = new Map<string, ShardQueue>();
  /**
   * Number of the group that is being collected, and the recordings in it. The group before may still be committing.
   */
  #group = 1;
  #recordings: Recording[] = [];
  /** Batches that have reached MAX_BATCH. */
  #full: Uint8Array[] = [];
  #bytes = 0;
  #timer: PunctualTimer | undefined;
  /** When the timer was set for this group, ms. */
  #armedAt = 0;
  #committing: Promise<void> | undefined;
  #waiting: (() => void)[] = [];
  #inTrouble = false;
  #troubleCode = '';
  #reportedAt = Number.NEGATIVE_INFINITY;
  #hasReported = false;
  #closed = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.shardOf = options.bySite ? siteShardOf : shardOf;
  }

  /** False while the store fails, or is slower than the visitors. */
  get hasRoom(): boolean {
    return !this.#inTrouble && this.#bytes < MAX_WAITING;
  }

  get inTrouble(): boolean {
    return this.#inTrouble;
  }

  /** The code of the store's error, or undefined if the store works. */
  get troubleCode(): string | undefined {
    return this.#inTrouble ? this.#troubleCode : undefined;
  }

  /** Counts bytes that were written into a batch. */
  countBytes(bytes: number): void {
    this.#bytes += bytes;
  }

  queue(site: string): ShardQueue {
    return getOrInsert(this.#queues, this.#options.bySite ? site : '', () => ({ writers: [], group: 0 }));
  }

  /** Returns the writer for a recording's frames. The recording is updated when its group is committed. */
  writer(queue: ShardQueue, shard: number, recording: Recording): BatchWriter {
    if (recording.group !== this.#group) {
      recording.group = this.#group;
      this.#recordings.push(recording);
      this.#arm(this.#options.commitMs);
    }
    const writer = queue.writers[shard] ?? new BatchWriter();
    queue.writers[shard] = writer;
    queue.group = this.#group;
    // When visitors reconnect, they send the frames of many seconds at once.
    if (writer.length > MAX_BATCH) this.#full.push(writer.take());
    return writer;
  }

  /** Resolves when the frames of a recording are committed, or have failed. */
  committed(recording: Recording): Promise<void> {
    if (recording.group === this.#group)
      return new Promise((resolve) => {
        this.#waiting.push(resolve);
        this.#hurry();
      });
    return (recording.group === this.#group - 1 && this.#committing) || Promise.resolve();
  }

  #arm(ms: number): void {
    if (this.#committing || this.#closed || this.#timer) return;
    this.#armedAt = performance.now();
    this.#setTimer(ms);
    this.#hurry();
  }

  /**
   * The more responses wait for a group, the sooner it is committed: n of them after an n-th of the time. So many POSTs
   * are answered within milliseconds, and a few cause hardly more commits.
   */
  #hurry(): void {
    if (!this.#timer || this.#inTrouble || this.#waiting.length < 2) return;
    this.#timer.stop();
    this.#setTimer(this.#armedAt + this.#options.commitMs / this.#waiting.length - performance.now());
  }

  #setTimer(ms: number): void {
    this.#timer = new PunctualTimer(() => {
      this.#timer = undefined;
      void this.#commit();
    }, ms);
  }

  /** Passes the collected group to the store. Frames that arrive meanwhile make the next group. */
  async #commit(): Promise<void> {
    const group = this.#takeGroup();
    const { batches } = group;
    const waiting = this.#waiting;
    this.#waiting = [];
    // Without batches this only checks whether the store works again.
    const appended = batches.length > 0 || this.#inTrouble ? this.#options.archive.append(batches) : Promise.resolve();
    const startedAt = performance.now();
    this.#committing = appended.then(
      () => this.#onCommit(group, performance.now() - startedAt),
      (error: unknown) => this.#onFailure(group, error),
    );
    await this.#committing;
    this.#committing = undefined;
    for (const resolve of waiting) resolve();
    if (this.#inTrouble) this.#arm(PROBE_MS);
    else if (this.#recordings.length > 0 || this.#waiting.length > 0) this.#arm(this.#options.commitMs);
  }

  #takeGroup(): Group {
    const batches = this.#full;
    for (const queue of this.#queues.values())
      if (queue.group === this.#group) take(queue, batches);
      // There may be many sites: writers of idle ones are dropped.
      else if (this.#group - queue.group > IDLE_GROUPS) queue.writers = [];
    const recordings = this.#recordings;
    this.#full = [];
    this.#recordings = [];
    this.#group += 1;
    this.#bytes = 0;
    return { batches, recordings, taken: recordings.map(({ taken }) => taken) };
  }

  #onCommit({ recordings, taken }: Group, ms: number): void {
    if (recordings.length > 0) this.#options.onCommit?.(ms);
    for (const [i, recording] of recordings.entries()) recording.kept = Math.max(recording.kept, taken[i] as number);
    if (!this.#inTrouble) return;
    this.#inTrouble = false;
    if (this.#hasReported) this.#options.onRecovery();
    this.#hasReported = false;
  }

  #onFailure({ recordings }: Group, error: unknown): void {
    for (const recording of recordings) recording.broken = true;
    // Frames since then would leave a gap.
    for (const recording of this.#takeGroup().recordings) recording.broken = true;
    this.#inTrouble = true;
    this.#troubleCode = String((error as { code?: unknown }).code);
    const now = performance.now();
    if (now - this.#reportedAt < REPORT_INTERVAL_MS) return;
    this.#reportedAt = now;
    this.#hasReported = true;
    this.#options.onTrouble(error);
  }

  /** Commits what has been collected. No frames may follow. Closing twice is safe. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.stop();
    await this.#committing;
    if (this.#recordings.length > 0) await this.#commit();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function take({ writers }: ShardQueue, batches: Uint8Array[]): void {
  for (const writer of writers) if (writer && !writer.isEmpty) batches.push(writer.take());
}

const NO_SAMPLES = new SampleBuffer(0);
