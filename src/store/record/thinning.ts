/**
 * What is kept of a visit that has grown too large, so that one visitor cannot fill the store. Up to `most` bytes of runs all is kept.
 * Beyond that moves and scrolls are thinned to the last of each filing, which tell where the visitor is; clicks, page changes and other
 * marks are kept. Beyond twice as much nothing is kept but that the frames have come.
 */
import { decodeSamples, KIND, SampleBuffer } from '../../protocol/frame.ts';
import { RUN_SAMPLES } from '../../protocol/passages.ts';
import type { BatchFrame } from './batch.ts';
import type { StoredVisit } from './stored-visit.ts';

/** Beyond so many times the limit marks are not kept either. */
const MARKS_TIMES = 2;

export type Thinning = 'none' | 'moves' | 'all';

/** `most`: bytes of runs. Visits from before these were counted are not thinned. */
export function thinningOf({ bytes = 0 }: StoredVisit, most: number): Thinning {
  if (bytes <= most) return 'none';
  return bytes <= MARKS_TIMES * most ? 'moves' : 'all';
}

const samples = new SampleBuffer(RUN_SAMPLES);

/** Which of some frames have the last move and the last scroll. */
export class LastOf {
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

  /** Takes out of a frame's samples what is not kept. */
  thin(frame: BatchFrame, decoded: SampleBuffer): void {
    decoded.thin(frame === this.#move, frame === this.#scroll);
  }
}
