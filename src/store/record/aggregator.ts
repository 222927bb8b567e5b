/**
 * What a visit's runs add to counts and heatmaps, and what is told of the visit itself. Runs are given in the order of
 * their times; however they are cut, the sum is the same. With a sign of −1 it is taken away again.
 */

import { MAX_STAYS, type Stay } from '../../model/visit.ts';
import { type Device, deviceOf, type Visitor } from '../../model/visitor.ts';
import { decodeSamples, ELEMENT_SCALE, KIND, type Mark, SampleBuffer } from '../../protocol/frame.ts';
import { RUN_SAMPLES } from '../../protocol/passages.ts';
import type { Run } from '../archive.ts';
import { CellTable } from './cell-table.ts';
import { packPlace, SPOTS, widthOf } from './place.ts';
import { type Counts, cellOf, dayOf, type Layer, type Sums, WHOLE_SITE } from './sums.ts';
import { countInTile } from './tile.ts';

/**
 * Visits that begin now are counted by these rules. Visits from before there were several sets have none: for them
 * windows from 1,920 pixels are wide, and clicks on elements have no place on the page. A visit keeps its rules, so
 * that what it added is what is taken away.
 */
const RULES = 2;
/** Without rules: windows from here on were wide, pixels. */
const FORMER_WIDE = 1920;

/** How far a visit is tallied; goes on where it was left. */
export interface AggregationState {
  /** By which rules it is counted. */
  rules?: number;
  stays: Stay[];
  /** Class of the window when the last stay began. */
  stayDevice: Device;
  /** The stay that is going on is the last of `stays`; otherwise there are too many to count it. */
  isStaying: boolean;
  /** It is known how the page was entered: by a load, or from another one. */
  isEntered: boolean;
  page: string;
  size: Visitor['size'];
  scrollY: number;
  moves: number;
  clicks: number;
  scrolls: number;
  until: number;
}

/** Pages have numbers, from 1 on. */
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

/** A tally of the same visit from its start, by the same rules. */
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
  /** Number of the page, and class of the window, that samples are of now. */
  #page = 0;
  #device: Device = 'unknown';
  /** Where moves of that page and class on `#day` are counted. */
  #moves = new CellTable();
  #counts: Counts[] = [];
  #day = -1;
  /** Moves that are not counted there yet; and those of them in the cell that the last was in. */
  #moved = 0;
  #cellNow = -1;
  #movedThere = 0;
  /** Time of the last sample. */
  #now = 0;
  /** What of the stay is counted already. */
  #countedUntil = 0;
  #countedDepth = 0;

  constructor(site: string, sums: Sums, sign: 1 | -1, pages: PageNumbers, state: AggregationState) {
    this.#site = site;
    this.#sums = sums;
    this.#sign = sign;
    this.#pages = pages;
    this.#state = state;
    this.#begin();
  }

  /** Adds a run. Throws FrameError if it is damaged. */
  add(run: Run): void {
    this.open(run.page, run.size, run.entered, run.t);
    decodeSamples(run.payload, 0, samples);
    this.take(samples, run.t);
    this.close();
  }

  /** The samples that follow are of this page and window. `entered`: the page was loaded at `t`. */
  open(page: string, size: Visitor['size'], entered: boolean, t: number): void {
    const state = this.#state;
    const name = page === state.page ? page : this.#nameOf(page);
    this.close();
    this.#now = t;
    state.size = size;
    const isOther = name !== state.page || state.stays.length === 0;
    if (isOther || (entered && state.isEntered)) this.#enter(name, t);
    // What was done before the server was told that the page was loaded is of the same stay.
    state.isEntered = entered || (!isOther && state.isEntered);
    this.#navigate();
  }

  /** Adds samples; `shift` makes their times Unix ms. */
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

  /** Counts what was taken until now. */
  close(): void {
    this.#countMoves();
    this.#settle();
    this.#state.until = Math.max(this.#state.until, this.#now);
  }

  /**
   * Counts the row that is the deepest in sight of the stay that goes on, on page `number`, by so much more or less. While a visit is
   * tallied away in pieces, the store has that row as it was at the end of the stay: only the last piece may take it away.
   */
  countDeepest(number: number, by: 1 | -1): void {
    const stay = this.#stay;
    if (stay) this.#cell(number, dayOf(stay.t), this.#state.stayDevice, 'depth', deepestCell(stay.depth), by);
  }

  /** What the page is called in counts: one name may stand for many. */
  #nameOf(page: string): string {
    return this.#pages.nameOf(this.#pages.numberOf(this.#site, page));
  }

  #classOf(width: number): Device {
    return this.#state.rules === undefined && width >= FORMER_WIDE ? 'wide' : deviceOf(width);
  }

  /** A page was entered. */
  #enter(page: string, t: number): void {
    const state = this.#state;
    state.page = page;
    state.scrollY = 0;
    state.isStaying = state.stays.length < MAX_STAYS;
    if (!state.isStaying) return;
    state.stayDevice = this.#classOf(state.size[0]);
    const isFirst = !state.stays.some((stay) => stay.page === page);
    state.stays.push({ page, t, until: t, depth: state.size[1] });
    this.#countStay(isFirst);
    this.#begin();
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

  /** Counts for the page and for the site. */
  #count(page: number, day: number, what: Exclude<keyof Counts, 'visits'>, by: number): void {
    this.#sums.add(this.#site, page, day, what, this.#sign * by);
    this.#sums.add(this.#site, WHOLE_SITE, day, what, this.#sign * by);
  }

  #cell(page: number, day: number, device: Device, layer: Layer, cell: number, by: number): void {
    this.#sums.addCell(page, day, device, layer, cell, this.#sign * by);
  }

  /** The page or the window is another. */
  #navigate(): void {
    this.#countMoves();
    const { page, size } = this.#state;
    this.#page = this.#pages.numberOf(this.#site, page);
    this.#device = this.#classOf(size[0]);
    this.#day = -1;
    // Of a visit with too many stays a page may have a number and no counts: whoever puts the sums is to look at it.
    if (this.#sign === -1) this.#sums.countsOf(this.#site, this.#page, dayOf(this.#now));
  }

  /** All of the stay is counted as it is now. */
  #begin(): void {
    const stay = this.#stay;
    this.#countedUntil = stay?.until ?? 0;
    this.#countedDepth = stay?.depth ?? 0;
  }

  get #stay(): Stay | undefined {
    return this.#state.isStaying ? this.#state.stays.at(-1) : undefined;
  }

  /** Counts by how much the stay has grown until now. */
  #settle(): void {
    const stay = this.#stay;
    if (!stay) return;
    stay.until = Math.max(stay.until, this.#now);
    const number = this.#pages.numberOf(this.#site, stay.page);
    const day = dayOf(stay.t);
    if (stay.until !== this.#countedUntil) this.#count(number, day, 'ms', stay.until - this.#countedUntil);
    if (stay.depth !== this.#countedDepth) this.#deepen(number, day, stay.depth);
    this.#begin();
  }

  #deepen(page: number, day: number, depth: number): void {
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
    if (cell !== this.#cellNow) this.#countCell();
    this.#cellNow = cell;
    this.#movedThere += 1;
    this.#moved += 1;
  }

  /** A pointer mostly stays in a cell for some samples. */
  #countCell(): void {
    if (this.#movedThere > 0) this.#moves.add(this.#cellNow, this.#sign * this.#movedThere);
    this.#movedThere = 0;
  }

  #countMoves(): void {
    this.#countCell();
    for (const counts of this.#counts) counts.moves += this.#sign * this.#moved;
    this.#state.moves += this.#moved;
    this.#moved = 0;
  }

  #scroll(y: number): void {
    this.#state.scrolls += 1;
    this.#state.scrollY = y;
    this.#see();
  }

  /** What is in sight now may be deeper than ever in this stay. */
  #see(): void {
    const stay = this.#stay;
    const { scrollY, size } = this.#state;
    if (stay) stay.depth = Math.max(stay.depth, scrollY + size[1]);
  }

  #mark(t: number, mark: Mark): void {
    switch (mark.type) {
      case 'click':
        this.#click(t, mark);
        break;
      case 'page':
        this.#leaveFor(this.#nameOf(mark.page), t);
        break;
      case 'resize':
        this.#state.size = [mark.vw, mark.vh, mark.dw, mark.dh];
        this.#navigate();
        this.#see();
        break;
      case 'visibility':
      case 'pointer':
        break;
      default:
        mark satisfies never;
    }
  }

  #leaveFor(page: string, t: number): void {
    if (page === this.#state.page) return;
    this.#now = t;
    this.#settle();
    this.#enter(page, t);
    this.#navigate();
    this.#state.isEntered = true;
  }

  #click(t: number, click: Extract<Mark, { type: 'click' }>): void {
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

  #placeOf({ ex, ey, selector }: Extract<Mark, { type: 'click' }>, cell: number): number {
    const spot = spotOf(ey) * SPOTS + spotOf(ex);
    const { rules, size } = this.#state;
    const hasPlace = rules !== undefined && selector !== '' && size[2] > 0;
    return hasPlace ? packPlace(widthOf(size[2]), cell, spot) : spot;
  }
}

function spotOf(share: number): number {
  return Math.min(SPOTS - 1, Math.floor((share * SPOTS) / ELEMENT_SCALE));
}

/** The cell of the last pixel in sight. */
function deepestCell(depth: number): number {
  return cellOf(0, depth - 1);
}
