/**
 * Limits what is stored of a visit, so that one visitor cannot fill the store. Up to `maxBytes` of runs everything is
 * stored. Above that, moves and scrolls are thinned to the last of each compaction, which tell where the visitor is;
 * clicks, page changes and other marks are stored. Above twice the limit nothing is stored except that the frames have
 * arrived.
 */
import { decodeSamples, KIND, SampleBuffer } from '../../protocol/frame.ts';
import { RUN_SAMPLES } from '../../protocol/passages.ts';
import type { BatchFrame } from './batch.ts';
import type { StoredVisit } from './stored-visit.ts';

/** Above this many times the limit, marks are not stored either. */
const MARKS_TIMES = 2;

export type Thinning = 'none' | 'moves' | 'all';

/** `maxBytes`: limit of the bytes of runs. Visits from before bytes were counted are not thinned. */
export function thinningOf({ bytes = 0 }: StoredVisit, maxBytes: number): Thinning {
  if (bytes <= maxBytes) return 'none';
  return bytes <= MARKS_TIMES * maxBytes ? 'moves' : 'all';
}

const samples = new SampleBuffer(RUN_SAMPLES);

/** Finds the frames that have the last move and the last scroll. */
export class LastPositions {
  #move: BatchFrame | undefined;
  #scroll: BatchFrame | undefined;

  constructor(frames: readonly BatchFrame[]) {
    for (let i = frames.length - 1; i >= 0 && !(this.#move && this.#scroll); i--) {
      const frame = frames[i] as BatchFrame;
      decodeSamples(frame.bytes, frame.from, samples, frame.to);
      const kinds = samples.kind.subarray(0, samples.count);
      if (kinds.includes(KIND.move)) this.#move ??= frame;
      if (kinds.includes(KIND.scroll)) this.#scroll ??= frame;
    }
  }

  /** Removes the samples of a frame that are not stored. */
  thin(frame: BatchFrame, decoded: SampleBuffer): void {
    decoded.thin(frame === this.#move, frame === this.#scroll);
  }
}
