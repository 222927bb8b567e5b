/**
 * Where things are on the page. In an application shell a part of the page scrolls in place of the window: then the
 * page is as large as if that part showed all that it holds.
 */
import type { Point, Size } from '../protocol/encode.ts';
import { ask, attempt } from './guard.ts';
import { MAX_COORDINATE } from './limits.ts';

/** What scrolls: `root`, which stands for the window, or a part of the page. */
export let scroller: Element;
let root: Element;
/** How much of the page is to the left of what shows while nothing is scrolled: texts may run from right to left. */
export let hiddenLeft = 0;

/**
 * Returns the sizes of viewport and page. Looks for what scrolls: in the middle of the window, at least half as high, and
 * hiding more than anything else there. It may be in a shadow tree.
 */
export function measure(): Size {
  let width = 0;
  let height = 0;
  // By the window: scripts of the page may have variables of these names.
  const { innerWidth, innerHeight } = window;
  const middle = [innerWidth / 2, innerHeight / 2] as const;
  // What is added while the loop runs is visited, too, and nothing twice: some browsers list what is around a shadow
  // tree.
  // The root may be elsewhere: a body in quirks mode may be narrow, or may be no scrolling element.
  scroller = root = ask(document, 'scrollingElement') || ask(document, 'documentElement');
  const seen = new Set<Element>(ask(document, 'elementsFromPoint', ...middle)).add(root);
  for (const one of seen)
    attempt(() => {
      const { overflow, direction } = getComputedStyle(one);
      const x = one.scrollWidth - one.clientWidth;
      const y = one.scrollHeight - one.clientHeight;
      // Values with an "o" let the visitor scroll: auto, scroll.
      if ((one === root || /o/.test(overflow)) && one.clientHeight * 2 > innerHeight && x + y >= width + height) {
        scroller = one;
        width = x;
        height = y;
        hiddenLeft = direction === 'rtl' ? x : 0;
      }
      one.shadowRoot?.elementsFromPoint(...middle).forEach(seen.add, seen);
    });
  return [innerWidth, innerHeight, innerWidth + width, innerHeight + height].map(pixel) as unknown as Size;
}

/** How far the left top corner of the page is from that of the window, for what is in all of `path`. */
export function scrolled(path: readonly unknown[] = [scroller]): Point {
  if (!root) measure();
  let { scrollLeft: x, scrollTop: y } = root;
  if (scroller !== root && path.includes(scroller)) {
    x += scroller.scrollLeft;
    y += scroller.scrollTop;
  }
  return [x, y];
}

/** Whole page pixels, within what a frame may name. Rubber-band scrolling and captured pointers go below 0. */
export function pixel(value: number): number {
  return Math.round(Math.max(0, Math.min(MAX_COORDINATE, value)));
}
