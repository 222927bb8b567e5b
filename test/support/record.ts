/** Writes visits into a store's record as a worker does. */

import { deviceOf, type Visitor } from '../../src/model/visitor.ts';
import { encodeSamples, type Sample } from '../../src/protocol/encode.ts';
import { decodeSamples, SampleBuffer } from '../../src/protocol/frame.ts';
import { RUN_SAMPLES } from '../../src/protocol/passages.ts';
import type { Archive } from '../../src/store/archive.ts';
import { type AboutVisit, BatchWriter, PlaceMark } from '../../src/store/record/batch.ts';

export interface PastFrame {
  page?: string;
  size?: Visitor['size'];
  /** True if the page was loaded. */
  entered?: boolean;
  /** Times are Unix ms. */
  samples: Sample[];
}

export interface PastVisit extends Partial<AboutVisit> {
  id: string;
  site?: string;
  since: number;
  frames: PastFrame[];
}

const buffer = new SampleBuffer(RUN_SAMPLES);
const SIZE: Visitor['size'] = [1280, 720, 1280, 2000];

/** Adds visits and numbers their frames from 1. */
export async function record(archive: Pick<Archive, 'append'>, ...visits: PastVisit[]): Promise<void> {
  const writer = new BatchWriter();
  for (const { id, site = 'demo', frames, ...about } of visits) {
    let n = 0;
    for (const { page = '/', size = SIZE, entered = false, samples } of frames) {
      const mark = new PlaceMark({ id, site, page, size });
      if (n === 0) writer.about(mark, { ...NOTHING, device: deviceOf(size[0]), ...about });
      n += 1;
      decodeSamples(Uint8Array.from(encodeSamples(samples)), 0, buffer);
      writer.frame(mark, n, entered, buffer, 0, buffer.time[0] as number);
    }
  }
  await archive.append([writer.take()]);
}

const NOTHING: Omit<AboutVisit, 'since'> = {
  device: 'desktop',
  language: 'en',
  referrer: '',
  origin: '',
  country: '',
  label: '',
};

/** Returns moves every `step` milliseconds from `t`. */
export function moves(t: number, places: readonly [x: number, y: number][], step = 16): Sample[] {
  return places.map(([x, y], i) => ({ type: 'move', time: t + i * step, x, y }));
}

export function click(t: number, x: number, y: number, selector = 'a'): Sample {
  return { type: 'click', time: t, x, y, button: 0, ex: 0, ey: 0, selector };
}
