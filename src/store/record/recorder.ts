/**
 * A worker's side of the record: collects what its visitors sent and gives it to the store, one group at a time. What
 * the store could not take is not kept here: the visitors concerned have it still, and are to send it again.
 */
import { getOrInsert } from '../../lib/get-or-insert.ts';
import { SampleBuffer } from '../../protocol/frame.ts';
import type { Archive } from '../archive.ts';
import { type AboutVisit, BatchWriter, type PlaceEntry, PlaceMark } from './batch.ts';
import { shardOf, siteShardOf } from './shard.ts';

/** What waits for the store is at most so long, bytes; above it, it counts as not to be had. */
const MAX_WAITING = 16 * 1024 * 1024;
/** A batch has little more than so many bytes: stores keep large values on pages that lie together. */
const MAX_BATCH = 16 * 1024;
/** Writers that had nothing for so many groups are not kept. */
const IDLE_GROUPS = 1000;
/** After a failure the store is tried again so often, milliseconds, */
const PROBE_MS = 1000;
/** and what failed is told so often. */
const COMPLAIN_MS = 60_000;

export interface RecorderOptions {
  archive: Pick<Archive, 'append'>;
  /** Between two commits, milliseconds. */
  commitMs: number;
  /** The store cannot take anything, or can again. Told at once, but at most once a minute, however it comes and goes. */
  onTrouble(error: unknown): void;
  onRecovery(): void;
  /** A group has been stored, which took so long, milliseconds. */
  onCommit?(ms: number): void;
  /** The store keeps sites apart: a batch is of one site only, and of one of its shards. */
  bySite?: boolean;
}

/** Writers of batches, by shard, of one site or of all. */
interface ShardQueue {
  writers: (BatchWriter | undefined)[];
  /** The last group that has something of it. */
  group: number;
}

/** One visitor's frames on their way into the store. */
export class Recording {
  /** Number of the last frame that was handed over, and of the last that is in the store. */
  taken: number;
  kept: number;
  /** A frame did not get into the store: nothing more is taken, and the visitor has to connect anew and send again. */
  broken = false;
  /** Number of the last group that has frames of it. */
  group = 0;
  readonly #recorder: Recorder;
  readonly #queue: ShardQueue;
  readonly #shard: number;
  #mark: PlaceMark;
  #told: AboutVisit;
  /** What of it is to be told with the next frame. */
  #about: AboutVisit | undefined;

  /** `n` is the number before the visitor's next frame. */
  constructor(recorder: Recorder, place: PlaceEntry, about: AboutVisit, n: number) {
    this.#recorder = recorder;
    this.#queue = recorder.queue(place.site);
    this.#shard = recorder.shardOf(place.id);
    this.#mark = new PlaceMark(place);
    this.#told = about;
    this.#about = about;
    this.taken = n;
    this.kept = n;
  }

  /** The page was loaded: a frame without samples, numbered `n`, stands for that. */
  enter(n: number, now: number): void {
    this.#write(n, true, false, NOTHING, 0, now);
  }

  /**
   * Takes frame `n`, if it is above those before. `page` and `size` are of its begin; `shift` makes times Unix ms.
   * `late`: its visitor has left that page.
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

  /** The visitor has said what it calls itself. */
  name(label: string): void {
    this.#told = { ...this.#told, label };
    this.#about = this.#told;
  }

  /** Goes on after number `n`, in place of one that is broken. */
  restart(n: number): Recording {
    return new Recording(this.#recorder, this.#mark.place, this.#told, n);
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
    if (this.#about) writer.about(this.#mark, this.#about);
    this.#about = undefined;
    writer.frame(this.#mark, n, entered, samples, shift, now, late);
    this.#recorder.wrote(writer.length - before);
    this.taken = n;
  }

  /** Resolves when all that was taken is in the store, or will not get there. */
  settled(): Promise<void> {
    return this.broken ? Promise.resolve() : this.#recorder.committed(this);
  }
}

/** A group on its way: batches, whose they are, and the last frame of each. */
interface Group {
  batches: Uint8Array[];
  recordings: Recording[];
  taken: number[];
}

export class Recorder {
  /** Frames and samples taken so far, and frames that were not. */
  frames = 0;
  samples = 0;
  unstored = 0;
  readonly #options: RecorderOptions;
  readonly shardOf: (id: string) => number;
  /** By site, or one for all. */
  readonly #queues = new Map<string, ShardQueue>();
  /** Number of the group that is being collected, and whose frames it has. The group before may be on its way. */
  #group = 1;
  #recordings: Recording[] = [];
  /** Batches that are as large as they may be. */
  #full: Uint8Array[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #committing: Promise<void> | undefined;
  #waiting: (() => void)[] = [];
  #inTrouble = false;
  #troubleCode = '';
  #complainedAt = Number.NEGATIVE_INFINITY;
  #complained = false;
  #closed = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.shardOf = options.bySite ? siteShardOf : shardOf;
  }

  /** False while the store cannot take anything, or not as fast as it comes. */
  get hasRoom(): boolean {
    return !this.#inTrouble && this.#bytes < MAX_WAITING;
  }

  get inTrouble(): boolean {
    return this.#inTrouble;
  }

  /** Why nothing is stored now: the code of the store's error; undefined: all is well. */
  get troubleCode(): string | undefined {
    return this.#inTrouble ? this.#troubleCode : undefined;
  }

  /** So many bytes were written into a batch. */
  wrote(bytes: number): void {
    this.#bytes += bytes;
  }

  queue(site: string): ShardQueue {
    return getOrInsert(this.#queues, this.#options.bySite ? site : '', () => ({ writers: [], group: 0 }));
  }

  /** The batch that a recording's frames go into; it will be told when it is committed. */
  writer(queue: ShardQueue, shard: number, recording: Recording): BatchWriter {
    if (recording.group !== this.#group) {
      recording.group = this.#group;
      this.#recordings.push(recording);
      this.#arm(this.#options.commitMs);
    }
    const writer = queue.writers[shard] ?? new BatchWriter();
    queue.writers[shard] = writer;
    queue.group = this.#group;
    // Frames of many seconds come at once when visitors connect again.
    if (writer.length > MAX_BATCH) this.#full.push(writer.take());
    return writer;
  }

  /** Resolves when what a recording has handed over is committed, or has failed. */
  committed(recording: Recording): Promise<void> {
    if (recording.group === this.#group) return new Promise((resolve) => this.#waiting.push(resolve));
    return (recording.group === this.#group - 1 && this.#committing) || Promise.resolve();
  }

  #arm(ms: number): void {
    if (this.#committing || this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#commit();
    }, ms);
  }

  /** Gives the store what has come. What comes meanwhile makes the next group. */
  async #commit(): Promise<void> {
    const group = this.#takeGroup();
    const { batches } = group;
    const waiting = this.#waiting;
    this.#waiting = [];
    // With nothing to store the store is asked only whether it is out of trouble.
    const appended = batches.length > 0 || this.#inTrouble ? this.#options.archive.append(batches) : Promise.resolve();
    const begun = performance.now();
    this.#committing = appended.then(
      () => this.#onCommit(group, performance.now() - begun),
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
      // There may be many sites.
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
    if (this.#complained) this.#options.onRecovery();
    this.#complained = false;
  }

  #onFailure({ recordings }: Group, error: unknown): void {
    for (const recording of recordings) recording.broken = true;
    // What has come since would follow on what is missing.
    for (const recording of this.#takeGroup().recordings) recording.broken = true;
    this.#inTrouble = true;
    this.#troubleCode = String((error as { code?: unknown }).code);
    const now = performance.now();
    if (now - this.#complainedAt < COMPLAIN_MS) return;
    this.#complainedAt = now;
    this.#complained = true;
    this.#options.onTrouble(error);
  }

  /** Commits what is under way; nothing may come any more. Closing twice is safe. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#committing;
    if (this.#recordings.length > 0) await this.#commit();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function take({ writers }: ShardQueue, batches: Uint8Array[]): void {
  for (const writer of writers) if (writer && !writer.isEmpty) batches.push(writer.take());
}

const NOTHING = new SampleBuffer(0);
