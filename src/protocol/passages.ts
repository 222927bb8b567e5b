/** Splits runs of frames by page. */

import { byMarkList, isPublished, type Mark, PUBLISHED_MARKS } from '../model/mark.ts';
import type { Passage } from '../model/visit.ts';
import type { Visitor } from '../model/visitor.ts';
import { decodeSamples, KIND, SampleBuffer } from './frame.ts';

/** Maximum number of samples, and of frames, of one run. */
export const RUN_SAMPLES = 1024;
/** Maximum duration of a run, milliseconds. It limits how far before a moment to search for a run that touches it. */
export const RUN_MS = 60_000;

/** The members of a run that are needed here; model/query.ts has all. */
export interface RunLike {
  page: string;
  size: Visitor['size'];
  entered: boolean;
  t: number;
  payload: Uint8Array;
}

const samples = new SampleBuffer(RUN_SAMPLES);

/** Returns what was done in a run, page by page. Throws FrameError if its payload is damaged. */
export function passagesOf(run: RunLike): Passage[] {
  decodeSamples(run.payload, 0, samples);
  let passage = begin(run.t, run.page, run.size, run.entered);
  const passages = [passage];
  let { size } = run;
  let nextMark = 0;
  for (let i = 0; i < samples.count; i++) {
    const t = run.t + (samples.time[i] as number);
    const mark = samples.kind[i] === KIND.mark ? (samples.marks[nextMark++] as Mark) : undefined;
    if (mark?.type === 'page' && mark.page !== passage.page) {
      passage = begin(t, mark.page, size, true);
      passages.push(passage);
    }
    if (mark?.type === 'resize') size = [mark.vw, mark.vh, mark.dw, mark.dh];
    add(passage, t, samples, i, mark, size);
  }
  return passages;
}

function begin(t: number, page: string, size: Visitor['size'], entered: boolean): Passage {
  return { page, t, until: t, size, entered, moves: [], scrolls: [], ...byMarkList(() => []), views: [] };
}

function add(
  passage: Passage,
  t: number,
  { kind, x, y }: SampleBuffer,
  i: number,
  mark: Mark | undefined,
  size: Visitor['size'],
): void {
  const dt = t - passage.t;
  passage.until = t;
  if (kind[i] === KIND.move) passage.moves.push(dt, x[i] as number, y[i] as number);
  else if (kind[i] === KIND.scroll) passage.scrolls.push(dt, y[i] as number);
  else if (mark) addMark(passage, dt, mark, size);
}

function addMark(passage: Passage, dt: number, mark: Mark, size: Visitor['size']): void {
  if (isPublished(mark)) {
    const { type, ...fields } = mark;
    const list: { dt: number }[] = passage[PUBLISHED_MARKS[type]];
    list.push({ dt, ...fields });
    return;
  }
  switch (mark.type) {
    case 'resize':
      passage.views.push({ dt, size });
      break;
    case 'visibility':
      passage.views.push({ dt, hidden: !mark.visible });
      break;
    case 'page':
    case 'pointer':
      break;
    default:
      mark satisfies never;
  }
}
