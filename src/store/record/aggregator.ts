/**
 * Adds a visit's runs to counts and heatmaps, and summarises the visit. Runs are given in order of time. The sums do
 * not depend on where the runs are cut. With a sign of −1 the same amounts are subtracted.
 */

import type { Mark, MarkFields } from '../../model/mark.ts';
import { MAX_STAYS, type Stay } from '../../model/visit.ts';
import { type Device, deviceOf, type Visitor } from '../../model/visitor.ts';
import { decodeSamples, KIND, SampleBuffer } from '../../protocol/frame.ts';
import { ELEMENT_SCALE } from '../../protocol/limits.ts';
import { RUN_SAMPLES } from '../../protocol/passages.ts';
import type { Run } from '../archive.ts';
import { CellTable } from './cell-table.ts';
import { packPlace, SPOTS, widthOf } from './place.ts';
import { type Counts, cellOf, dayOf, type Layer, type Sums, WHOLE_SITE } from './sums.ts';
import { countInTile } from './tile.ts';

/**
 * The rules by which new visits are counted. Visits from before there were several sets of rules have no number:
 * windows from 1,920 pixels are wide, and clicks on elements have no place on the page. By rules 2, the heights of
 * pages are not summed. A visit keeps its rules, so that exactly what it added is subtracted later.
 */
const RULES = 3;
/** For visits without a rules number: windows of this width or more were wide, pixels. */
const LEGACY_WIDE_WIDTH = 1920;

/** How far a visit has been counted. Counting continues from here. */
export interface AggregationState {
  /** Number of the rules it is counted by (RULES). */
  rules?: number;
  stays: Stay[];
  /** Device class of the window when the last stay started. */
  stayDevice: Device;
  /** True if the current stay is the last of `stays`. False if the visit has too many stays to count this one. */
  isStaying: boolean;
  /** True if it is known how the page was entered: by a load, or from another page. */
  isEntered: boolean;
  page: string;
  size: Visitor['size'];
  scrollY: number;
  moves: number;
  clicks: number;
  scrolls: number;
  until: number;
}

/** Gives each page a number, from 1. */
export interface PageNumbers {
  numberOf(site: string, page: string): number;
  nameOf(number: number): string;
}

export function newAggregation(since: number): AggregationState {
  return {
    rules: RULES,
    stays: [],
    stayDevice: 'unknown',
    isStaying: false,
    isEntered: false,
    page: '',
    size: [0, 0, 0, 0],
    scrollY: 0,
    moves: 0,
    clicks: 0,
    scrolls: 0,
    until: since,
  };
}

/** Returns the state for counting the same visit from its start, by the same rules. */
export function restartAggregation({
  since,
  tally,
}: {
  since: number;
  tally: Pick<AggregationState, 'rules'>;
}): AggregationState {
  const { rules, ...state } = newAggregation(since);
  return tally.rules === undefined ? state : { ...state, rules: tally.rules };
}

const samples = new SampleBuffer(RUN_SAMPLES);

export class Aggregator {
  readonly #site: string;
  readonly #sums: Sums;
  readonly #sign: 1 | -1;
  readonly #pages: PageNumbers;
  readonly #state: AggregationState;
  /** Page number and device class of the current samples. */
  #page = 0;
  #device: Device = 'unknown';
  /** Cells that moves of that page and class on `#day` are added to. */
  #moves = new CellTable();
  #counts: Counts[] = [];
  #day = -1;
  /** Moves that are not counted yet, and how many of the latest ones are in the current cell. */
  #uncountedMoves = 0;
  #currentCell = -1;
  #movesInCell = 0;
  /** Time of the last sample. */
  #now = 0;
  /** Up to where the current stay is counted. */
  #countedUntil = 0;
  #countedDepth = 0;
  /** The same of the measured sums, which leave out stays without a height. */
  #measuredDepth = 0;
  #measuredHeight = 0;

  constructor(site: string, sums: Sums, sign: 1 | -1, pages: PageNumbers, state: AggregationState) {
    this.#site = site;
    this.#sums = sums;
    this.#sign = sign;
    this.#pages = pages;
    this.#state = state;
    this.#markCounted();
  }

  /** Adds a run. Throws FrameError if it is damaged. */
  add(run: Run): void {
    this.open(run.page, run.size, run.entered, run.t);
    decodeSamples(run.payload, 0, samples);
    this.take(samples, run.t);
    this.close();
  }

  /** Sets the page and window of the samples that follow. `entered`: the page was loaded at `t`. */
  open(page: string, size: Visitor['size'], entered: boolean, t: number): void {
    const state = this.#state;
    const name = page === state.page ? page : this.#nameOf(page);
    this.close();
    this.#now = t;
    state.size = size;
    const isOther = name !== state.page || state.stays.length === 0;
    if (isOther || (entered && state.isEntered)) this.#enter(name, t, size[3]);
    // Samples from before the server heard of the page load belong to the same stay.
    state.isEntered = entered || (!isOther && state.isEntered);
    this.#selectPage();
  }

  /** Adds samples. `shift` is added to their times to get Unix ms. */
  take({ count: end, time, kind, x, y, marks }: SampleBuffer, shift: number): void {
    let nextMark = 0;
    for (let i = 0; i < end; i++) {
      const t = shift + (time[i] as number);
      if (kind[i] === KIND.move) this.#move(t, x[i] as number, y[i] as number);
      else if (kind[i] === KIND.scroll) this.#scroll(y[i] as number);
      else this.#mark(t, marks[nextMark++] as Mark);
    }
    if (end > 0) this.#now = shift + (time[end - 1] as number);
  }

  /** Counts everything taken until now. */
  close(): void {
    this.#countMoves();
    this.#countGrowth();
    this.#state.until = Math.max(this.#state.until, this.#now);
  }

  /**
   * Adds `by` to the count of the deepest row seen in the current stay, on page `number`. While a visit is subtracted
   * in pieces, the store has that row as it was at the end of the stay, so only the last piece may subtract it.
   */
  countDeepest(number: number, by: 1 | -1): void {
    const stay = this.#stay;
    if (stay) this.#cell(number, dayOf(stay.t), this.#state.stayDevice, 'depth', deepestCell(stay.depth), by);
  }

  /** The name that the page is counted under: one name may stand for many pages. */
  #nameOf(page: string): string {
    return this.#pages.nameOf(this.#pages.numberOf(this.#site, page));
  }

  #classOf(width: number): Device {
    return this.#state.rules === undefined && width >= LEGACY_WIDE_WIDTH ? 'wide' : deviceOf(width);
  }

  /** `height`: of the page; 0 if it is unknown. */
  #enter(page: string, t: number, height: number): void {
    const state = this.#state;
    state.page = page;
    state.scrollY = 0;
    state.isStaying = state.stays.length < MAX_STAYS;
    if (!state.isStaying) return;
    state.stayDevice = this.#classOf(state.size[0]);
    const isFirst = !state.stays.some((stay) => stay.page === page);
    const stay: Stay = { page, t, until: t, depth: state.size[1] };
    state.stays.push(stay);
    this.#countStay(isFirst);
    this.#markCounted();
    this.#measure(stay, height);
  }

  /** Updates the height of a stay. Visits of former rules have none. */
  #measure(stay: Stay, height: number): void {
    const isMeasured = stay.height !== undefined || (height > 0 && (this.#state.rules ?? 0) >= 3);
    if (isMeasured) stay.height = Math.max(stay.height ?? 0, stay.depth, height);
  }

  #countStay(isFirst: boolean): void {
    const { stays, stayDevice, size } = this.#state;
    const { page, t, depth } = stays.at(-1) as Stay;
    const number = this.#pages.numberOf(this.#site, page);
    const day = dayOf(t);
    this.#count(number, day, 'views', 1);
    this.#count(number, day, 'depth', depth);
    if (isFirst) this.#sums.add(this.#site, number, day, 'visits', this.#sign);
    if (stays.length === 1) this.#sums.add(this.#site, WHOLE_SITE, day, 'visits', this.#sign);
    this.#cell(number, day, stayDevice, 'depth', deepestCell(depth), 1);
    this.#cell(number, day, stayDevice, 'extent', cellOf(size[2], size[3]), 1);
  }

  /** Adds to the counts of the page and of the site. */
  #count(page: number, day: number, what: Exclude<keyof Counts, 'visits'>, by: number): void {
    this.#sums.add(this.#site, page, day, what, this.#sign * by);
    this.#sums.add(this.#site, WHOLE_SITE, day, what, this.#sign * by);
  }

  #cell(page: number, day: number, device: Device, layer: Layer, cell: number, by: number): void {
    this.#sums.addCell(page, day, device, layer, cell, this.#sign * by);
  }

  /** Selects the current page and window for the samples that follow. */
  #selectPage(): void {
    this.#countMoves();
    const { page, size } = this.#state;
    this.#page = this.#pages.numberOf(this.#site, page);
    this.#device = this.#classOf(size[0]);
    this.#day = -1;
    // In a visit with too many stays a page may have a number but no counts. This makes an entry for it, so that the
    // store checks the page.
    if (this.#sign === -1) this.#sums.countsOf(this.#site, this.#page, dayOf(this.#now));
  }

  /** Notes that the current stay is counted completely. */
  #markCounted(): void {
    const stay = this.#stay;
    this.#countedUntil = stay?.until ?? 0;
    this.#countedDepth = stay?.depth ?? 0;
    this.#measuredDepth = stay?.height === undefined ? 0 : stay.depth;
    this.#measuredHeight = stay?.height ?? 0;
  }

  get #stay(): Stay | undefined {
    return this.#state.isStaying ? this.#state.stays.at(-1) : undefined;
  }

  /** Counts how much the stay has grown until now. All sums only grow, so that a visit can be subtracted in pieces. */
  #countGrowth(): void {
    const stay = this.#stay;
    if (!stay) return;
    stay.until = Math.max(stay.until, this.#now);
    const number = this.#pages.numberOf(this.#site, stay.page);
    const day = dayOf(stay.t);
    if (stay.until !== this.#countedUntil) this.#count(number, day, 'ms', stay.until - this.#countedUntil);
    if (stay.height !== undefined) {
      this.#count(number, day, 'measuredDepth', stay.depth - this.#measuredDepth);
      this.#count(number, day, 'measuredHeight', stay.height - this.#measuredHeight);
    }
    if (stay.depth !== this.#countedDepth) this.#countDepth(number, day, stay.depth);
    this.#markCounted();
  }

  #countDepth(page: number, day: number, depth: number): void {
    const { stayDevice } = this.#state;
    this.#count(page, day, 'depth', depth - this.#countedDepth);
    this.#cell(page, day, stayDevice, 'depth', deepestCell(this.#countedDepth), -1);
    this.#cell(page, day, stayDevice, 'depth', deepestCell(depth), 1);
  }

  #move(t: number, x: number, y: number): void {
    const day = dayOf(t);
    if (day !== this.#day) {
      this.#countMoves();
      this.#day = day;
      this.#moves = this.#sums.cellsOf(this.#page, day, this.#device, 'move');
      this.#counts = [this.#page, WHOLE_SITE].map((page) => this.#sums.countsOf(this.#site, page, day));
    }
    const cell = cellOf(x, y);
    if (cell !== this.#currentCell) this.#flushCell();
    this.#currentCell = cell;
    this.#movesInCell += 1;
    this.#uncountedMoves += 1;
  }

  /** A pointer often stays in one cell for several samples: they are added to the table at once. */
  #flushCell(): void {
    if (this.#movesInCell > 0) this.#moves.add(this.#currentCell, this.#sign * this.#movesInCell);
    this.#movesInCell = 0;
  }

  #countMoves(): void {
    this.#flushCell();
    for (const counts of this.#counts) counts.moves += this.#sign * this.#uncountedMoves;
    this.#state.moves += this.#uncountedMoves;
    this.#uncountedMoves = 0;
  }

  #scroll(y: number): void {
    this.#state.scrolls += 1;
    this.#state.scrollY = y;
    this.#updateDepth(0);
  }

  /** Updates the depth of the stay if more of the page has been seen. `height`: of the page; 0 if none was reported. */
  #updateDepth(height: number): void {
    const stay = this.#stay;
    if (!stay) return;
    const { scrollY, size } = this.#state;
    stay.depth = Math.max(stay.depth, scrollY + size[1]);
    this.#measure(stay, height);
  }

  #mark(t: number, mark: Mark): void {
    switch (mark.type) {
      case 'click':
        this.#click(t, mark);
        break;
      case 'page':
        this.#navigate(this.#nameOf(mark.page), t);
        break;
      case 'resize':
        this.#state.size = [mark.vw, mark.vh, mark.dw, mark.dh];
        this.#selectPage();
        this.#updateDepth(mark.dh);
        break;
      case 'visibility':
      case 'pointer':
        break;
      default:
        mark satisfies never;
    }
  }

  #navigate(page: string, t: number): void {
    if (page === this.#state.page) return;
    this.#now = t;
    this.#countGrowth();
    // The size is still that of the page before.
    this.#enter(page, t, 0);
    this.#selectPage();
    this.#state.isEntered = true;
  }

  #click(t: number, click: MarkFields<'click'>): void {
    const day = dayOf(t);
    const cell = cellOf(click.x, click.y);
    countInTile(
      this.#sums.spotsOf(this.#page, day, this.#device, click.selector),
      this.#placeOf(click, cell),
      this.#sign,
    );
    this.#cell(this.#page, day, this.#device, 'click', cell, 1);
    this.#count(this.#page, day, 'clicks', 1);
    this.#state.clicks += 1;
  }

  #placeOf({ ex, ey, selector }: MarkFields<'click'>, cell: number): number {
    const spot = spotOf(ey) * SPOTS + spotOf(ex);
    const { rules, size } = this.#state;
    const hasPlace = rules !== undefined && selector !== '' && size[2] > 0;
    return hasPlace ? packPlace(widthOf(size[2]), cell, spot) : spot;
  }
}

function spotOf(share: number): number {
  return Math.min(SPOTS - 1, Math.floor((share * SPOTS) / ELEMENT_SCALE));
}

/** The cell of the last visible pixel. */
function deepestCell(depth: number): number {
  return cellOf(0, depth - 1);
}
