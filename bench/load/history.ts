/**
 * Fills a store with a month of varied visits: several pages, devices, countries and referrers, with more visits by day
 * than by night.
 */
import { DAY_MS } from '../../src/model/day.ts';
import { deviceOf } from '../../src/model/visitor.ts';
import { KIND, SampleBuffer } from '../../src/protocol/frame.ts';
import type { Archive } from '../../src/store/archive.ts';
import { type AboutVisit, BatchWriter, PlaceMark } from '../../src/store/record/batch.ts';
import { seeded } from '../../test/support/seeded.ts';
import { idOf, place } from './past.ts';

export const HISTORY_DAYS = 30;
/** Number of pages. A fifth of all views are of `/`; of the others, those with small numbers are viewed most. */
const PAGES = 200;
const FIRST_SHARE = 0.2;
/** A visit has MIN_FRAMES to MAX_FRAMES frames, with up to MAX_PAUSE_MS between two of them: some two minutes. */
const MIN_FRAMES = 4;
const MAX_FRAMES = 30;
const MAX_PAUSE_MS = 12_000;
/** Moves per frame, at 60 a second. */
const FRAME_MOVES = 60;
const FRAME_MS = 1000;
const MAX_VIEWS = 3;
/** Share of the frames that end with a click. */
const CLICKS = 0.03;
/** Visits per append, and appends between two compactions. */
const APPENDED = 20;
const COMPACTED = 10;
/** The busiest time of a day has 1 + SWING times the average number of visits, the quietest 1 - SWING. */
const SWING = 0.8;
/** Widths of windows; each has its class of device. */
const WIDTHS = [390, 820, 1280, 1280, 1440, 2560] as const;
const COUNTRIES = ['DE', 'FR', 'US', 'BR', ''] as const;
const REFERRERS = ['', '', 'https://search.example', 'https://news.example', 'https://friends.example'] as const;
const HEIGHT = 4000;

/** Adds `count` visits, evenly numbered over HISTORY_DAYS that end at `end`, Unix ms. */
export async function fillHistory(
  { archive }: { archive: Pick<Archive, 'append' | 'compactAll'> },
  count: number,
  end: number,
): Promise<void> {
  for (let no = 0; no < count; no += APPENDED) {
    const size = Math.min(APPENDED, count - no);
    await archive.append(Array.from({ length: size }, (_, i) => pastVisit(no + i, sinceOf((no + i) / count, end))));
    if ((no / APPENDED) % COMPACTED === COMPACTED - 1) await archive.compactAll();
  }
  await archive.compactAll();
}

/** Returns when a visit started. `part`: its place among all, 0 to 1. */
function sinceOf(part: number, end: number): number {
  const days = part * HISTORY_DAYS;
  const swung = days + (SWING / (2 * Math.PI)) * Math.sin(2 * Math.PI * days);
  return Math.round(end + (swung - HISTORY_DAYS) * DAY_MS);
}

const samples = new SampleBuffer(FRAME_MOVES + 1);

function pastVisit(no: number, since: number): Uint8Array {
  const random = seeded(no + 1);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(list.length * random())] as T;
  const width = pick(WIDTHS);
  const about: AboutVisit = {
    since,
    device: deviceOf(width),
    language: 'en',
    referrer: pick(REFERRERS),
    origin: 'https://shop.example',
    country: pick(COUNTRIES),
    label: '',
  };
  const id = idOf(random);
  const writer = new BatchWriter();
  const frames = MIN_FRAMES + Math.floor((MAX_FRAMES - MIN_FRAMES + 1) * random());
  const perView = Math.ceil(frames / (1 + Math.floor(MAX_VIEWS * random())));
  const phase = 100 * random();
  let mark: PlaceMark | undefined;
  let t = since;
  for (let n = 1; n <= frames; n++) {
    const isFirst = (n - 1) % perView === 0;
    if (isFirst || !mark)
      mark = new PlaceMark({ id, site: 'demo', page: pageOf(random), size: [width, 800, width, HEIGHT] });
    if (n === 1) writer.about(mark, about);
    fillFrame(phase, n, width, random() < CLICKS);
    writer.frame(mark, n, isFirst, samples, t, t + FRAME_MS);
    t += FRAME_MS + Math.floor(MAX_PAUSE_MS * random() ** 2);
  }
  return writer.take();
}

function pageOf(random: () => number): string {
  return random() < FIRST_SHARE ? '/' : `/${1 + Math.floor((PAGES - 1) * random() ** 2)}`;
}

/** Fills `samples` with the moves of a second, the `n`th of a visit. */
function fillFrame(phase: number, n: number, width: number, clicks: boolean): void {
  samples.clear();
  for (let i = 0; i < FRAME_MOVES; i++) {
    const ms = Math.round((i * FRAME_MS) / FRAME_MOVES);
    const [x, y] = place(phase, n + ms / 1000);
    samples.push(KIND.move, ms, Math.round((x * width) / 1280), y);
  }
  if (!clicks) return;
  const x = 100 + Math.floor(phase);
  samples.marks.push({ type: 'click', x, y: 300, button: 0, ex: 4000, ey: 4000, selector: `a:nth-child(${n})` });
  samples.push(KIND.mark, FRAME_MS, x, 300);
}
