import {
  click,
  MARK,
  move,
  POINTER,
  page,
  part,
  RESIZE,
  type SamplePart,
  SCROLL,
  VISIBILITY,
} from '../protocol/encode.ts';
import { ELEMENT_SCALE } from '../protocol/limits.ts';
import { pace, wake } from './beat.ts';
import { ask, attempt, guarded } from './guard.ts';
import { hiddenLeft, measure, pixel, scrolled, scroller } from './layout.ts';
import { SIZE_MS } from './limits.ts';
import { add } from './outbox.ts';
import { selectorOf } from './selector.ts';

/** Path of the page. The query is left out, because it may contain secrets. */
export function currentPage(): string {
  return location.pathname;
}

/** A click inside one of these counts as a click on it. */
const CONTROLS = 'a,button,input,label,[role=button]';

/** Earliest time of the next move. */
let nextAt = 0;
let latest: PointerEvent | undefined;
/** Path of the latest event. An event may forget its own path. */
let over: EventTarget[] = [];
/** The latest move, while it is too early to add it. It is added later, because the pointer may rest there. */
let untold: PointerEvent | undefined;
/** The input of the label clicked in this task: the browser then makes a click on the input. */
let derived: EventTarget | undefined;
/** The values that were added last: sizes, hidden, page, scroll offset, kind of pointer. */
export const told: unknown[] = [];
/** Earliest time of the next measurement of the sizes. */
let measureAt = 0;

/** Adds the values without an event of their own: sizes, page, visibility, scroll offset, and the resting pointer. */
export const settle = guarded(() => {
  const time = window.performance.now();
  if (time > measureAt) {
    const size = measure();
    measureAt = time + SIZE_MS;
    if (isNew(0, String(size))) tell(part(time, MARK, RESIZE, ...size));
  }
  const path = currentPage();
  // Each page has a height of its own, also if it is as high as the one before.
  if (isNew(2, path)) {
    tell(page(time, path));
    measureAt = told[0] = 0;
  }
  const hidden = ask(document, 'hidden');
  if (isNew(1, hidden)) tell(part(time, MARK, VISIBILITY, +!hidden));
  const offset = pixel(scrolled()[1]);
  // If the page scrolls under a resting mouse, the mouse moves on the page, not before the sample of the scroll.
  if (isNew(3, offset)) {
    tell(part(time, SCROLL, offset));
    if (latest?.pointerType === 'mouse') untold = latest;
  }
  tellMove(time);
});

/** Returns true if the value has changed. */
function isNew(what: number, now: unknown): boolean {
  const before = told[what];
  told[what] = now;
  return before !== now;
}

/** Adds a sample that is no move. A late event must not make an earlier move: times in a frame never run back. */
function tell(part: SamplePart): void {
  nextAt = Math.max(nextAt, part[0]);
  add(part);
}

export function resized(): void {
  measureAt = 0;
  wake();
}

export function pointed(event: PointerEvent): void {
  // A second finger does not show where the visitor looks.
  if (!event.isPrimary) return;
  latest = event;
  over = event.composedPath();
  const { timeStamp, pointerType } = event;
  // 1: touch, 2: pen, 0: anything else.
  if (isNew(4, pointerType)) tell(part(timeStamp, MARK, POINTER, 'tp'.indexOf(pointerType[0] as string) + 1));
  // Asked only if there may be two moves in it: the list costs more than all of the rest.
  const parts = timeStamp > nextAt + pace.sampleMs ? event.getCoalescedEvents?.() : [];
  for (untold of parts?.[0] ? parts : [event]) tellMove(untold.timeStamp);
}

/** Adds the latest move when sampling allows. An older move gets that time, because the pointer is still there. */
function tellMove(now: number): void {
  if (!untold) return;
  if (now < nextAt) wake();
  else {
    const time = Math.max(untold.timeStamp, nextAt);
    nextAt = time + pace.sampleMs;
    const [left, top] = scrolled(over);
    add(move(time, [pixel(untold.clientX + left + hiddenLeft), pixel(untold.clientY + top)]));
    untold = undefined;
  }
}

export function clicked(event: MouseEvent, byHand = event.detail): void {
  const path = event.composedPath() as Element[];
  const target = path[0] as Element;
  // After a click on a label, the browser makes another click on its input, within the same task.
  const isDerived = derived === target;
  const control = ask(target, 'closest', 'label')?.control;
  derived = control !== target && control;
  setTimeout(() => {
    derived = undefined;
  });
  if (isDerived) return;
  untold = undefined;
  // A click on the icon of a button counts as a click on the button.
  const element = path.find((one) => ask(one, 'matches', CONTROLS)) ?? target;
  // The page may have replaced `scroller` just now.
  measure();
  /** Distance to the position without scrolling. */
  let [right, down] = scrolled(path);
  for (const one of path)
    attempt(() => {
      const { position } = getComputedStyle(one);
      // Elements around the scroller do not matter. It may be fixed to the window.
      if (one === scroller) path.length = 0;
      // An element that is fixed to another element, not to the window, has that one as its offsetParent.
      else if (position === 'fixed' && !(one as HTMLElement).offsetParent) right = down = path.length = 0;
      // A sticky element counts as at the top of its parent.
      else if (position === 'sticky') down += boxOf(ask(one, 'parentElement')).top - boxOf(one).top;
    });
  const { left, top, width, height } = boxOf(element);
  // A click made with a key counts as in the middle.
  const [x, y] = byHand ? [event.clientX, event.clientY] : [left + width / 2, top + height / 2];
  const place = [share(x - left, width), share(y - top, height)] as const;
  add(
    click(event.timeStamp, [pixel(x + right + hiddenLeft), pixel(y + down)], event.button, place, selectorOf(element)),
  );
}

/**
 * Wraps pushState and replaceState, which fire no event. On abort, the original methods are restored, unless another
 * script has wrapped them since. If they cannot be replaced, `settle` notices the new page later.
 */
export function watchHistory(signal: AbortSignal): void {
  for (const name of ['pushState', 'replaceState'] as const)
    attempt(() => {
      const { history, History } = window;
      // On the prototype: an own method would hide the method that another script puts on the prototype later.
      // biome-ignore lint/suspicious/noPrototypeBuiltins: Object.hasOwn is newer than everything else here.
      const owner = history.hasOwnProperty(name) ? history : History.prototype;
      const original = owner[name];
      const wrapped: typeof original = (...args) => {
        original.apply(history, args);
        settle();
      };
      owner[name] = wrapped;
      signal.addEventListener('abort', () => {
        if (owner[name] === wrapped) owner[name] = original;
      });
    });
}

/** Box of an element in the window. */
function boxOf(element: Element): DOMRect {
  return ask(element, 'getBoundingClientRect') || {};
}

/** Position in an element, from 0 to ELEMENT_SCALE. Servers move positions beyond the edge to the edge. */
function share(part: number, whole: number): number {
  return pixel(whole && (part / whole) * ELEMENT_SCALE);
}
