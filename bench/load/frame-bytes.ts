/**
 * Size of a frame in the record's batches and on the stream, from the code that writes them, for a pointer that
 * wanders.
 */
import { KIND, SampleBuffer } from '../../src/protocol/frame.ts';
import { MovesText } from '../../src/relay/moves-text.ts';
import { BatchWriter, PlaceMark } from '../../src/store/record/batch.ts';
import { place } from './past.ts';

const HANDS = 100;
const FRAMES = 20;
const SAMPLE_MS = 1000 / 60;
/** Unix ms that the frames begin at. */
const BEGIN = 1_760_000_000_000;
/** A visitor's number on the stream, and how much older than its batch a frame's first sample is, ms. */
const VISITOR = 12_345;
const AGE_MS = 105;

export interface FrameBytes {
  /** In a batch of its own, as where a site has few visitors. */
  record: number;
  shown: number;
}

/** Returns the mean size of frames with `count` samples. */
export function frameBytes(count: number): FrameBytes {
  const sum = { record: 0, shown: 0 };
  const samples = new SampleBuffer(count);
  for (let hand = 0; hand < HANDS; hand++) {
    const size: [number, number, number, number] = [1280, 800, 1280, 4000];
    const mark = new PlaceMark({ id: 'abcdefghijklmnopqrstuv', site: 'shop', page: '/page-1', size });
    for (let frame = 0; frame < FRAMES; frame++) {
      fill(samples, hand, frame * count, count);
      sum.record += recorded(mark, frame, samples);
      sum.shown += shown(samples, frame, count);
    }
  }
  return { record: sum.record / (HANDS * FRAMES), shown: sum.shown / (HANDS * FRAMES) };
}

function fill(samples: SampleBuffer, hand: number, first: number, count: number): void {
  samples.clear();
  for (let i = first; i < first + count; i++) {
    const ms = Math.round(i * SAMPLE_MS);
    samples.push(KIND.move, ms, ...place(hand, ms / 1000));
  }
}

function recorded(mark: PlaceMark, frame: number, samples: SampleBuffer): number {
  const writer = new BatchWriter();
  writer.frame(mark, 1000 + frame, false, samples, BEGIN, BEGIN + Math.round((frame + 1) * samples.count * SAMPLE_MS));
  return writer.take().length;
}

function shown(samples: SampleBuffer, frame: number, count: number): number {
  const text = new MovesText();
  const first = Math.round(frame * count * SAMPLE_MS);
  text.add(VISITOR, samples, -first - AGE_MS, 0, count);
  return text.take().length;
}
