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
import { pace, wake } from './beat.ts';
import { ask, attempt, guard } from './guard.ts';
import { hiddenLeft, measure, pixel, scrolled, scroller } from './layout.ts';
import { ELEMENT_SCALE, SIZE_MS } from './limits.ts';
import { add } from './outbox.ts';
import { selectorOf } from './selector.ts';

/** The page: never with the query, which may hold secrets. */
export function currentPage(): string {
  return location.pathname;
}

/** What is named when something in it is clicked. */
const CONTROLS = 'a,button,input,label,[role=button]';

/** The next move added is no earlier. */
let nextAt = 0;
let latest: PointerEvent | undefined;
/** All that the latest event was on. An event itself may forget it. */
let over: EventTarget[] = [];
/** The latest move, while it comes too soon to be told: the pointer may come to rest there. */
let untold: PointerEvent | undefined;
/** The input of the label clicked in this task: the browser makes a click on it. */
let derived: EventTarget | undefined;
/** What the server was told last: sizes, hidden, page, scroll offset, kind of pointer. */
export const told: unknown[] = [];
let sizedAt = 0;

/** Adds what is only looked at now and then: the pointer come to rest, sizes, page, visibility, scroll offset. */
export const settle = guard(() => {
  const time = window.performance.now();
  if (time > sizedAt + SIZE_MS) {
    const size = measure();
    sizedAt = time;
    tell(0, String(size), part(time, MARK, RESIZE, ...size));
  }
  const path = currentPage();
  if (tell(2, path, page(time, path))) sizedAt = 0;
  const hidden = ask(document, 'hidden');
  tell(1, hidden, part(time, MARK, VISIBILITY, +!hidden));
  const offset = pixel(scrolled()[1]);
  // A mouse that rests while the page scrolls under it is elsewhere on the page, no earlier than that is told.
  if (tell(3, offset, part(time, SCROLL, offset)) && latest?.pointerType === 'mouse') untold = latest;
  tellMove(time);
});

/** Adds `part` if `now` is not what was told. */
function tell(what: number, now: unknown, part: SamplePart): boolean {
  if (told[what] === now) return false;
  told[what] = now;
  // A move of an event that comes late counts as no earlier: times in a frame never run back.
  nextAt = Math.max(nextAt, part[0]);
  add(part);
  return true;
}

export function resized(): void {
  sizedAt = 0;
  wake();
}

export function pointed(event: PointerEvent): void {
  // A second finger tells nothing of where the visitor looks.
  if (!event.isPrimary) return;
  latest = event;
  over = event.composedPath();
  const parts = event.getCoalescedEvents?.() || [];
  if (!parts[0]) parts[0] = event;
  const kind = ['touch', 'pen'].indexOf(event.pointerType) + 1;
  // This runs for each event: parts are made only when they are told.
  if (told[4] !== kind) tell(4, kind, part(parts[0].timeStamp, MARK, POINTER, kind));
  for (untold of parts) tellMove(untold.timeStamp);
  wake();
}

/** Tells the latest move, once sampling allows. It gets that time if it is older: the pointer is still there. */
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
  // From a click on a label the browser makes another one for its input, within the same task.
  const isDerived = derived === target;
  const control = ask(target, 'closest', 'label')?.control;
  derived = control !== target && control;
  setTimeout(() => {
    derived = undefined;
  });
  if (isDerived) return;
  untold = undefined;
  // An icon in a button is the button.
  const element = path.find((one) => ask(one, 'matches', CONTROLS)) ?? target;
  // What scrolls may have been replaced just now.
  measure();
  /** How far it is from where it would be without scrolling. */
  let [right, down] = scrolled(path);
  for (const one of path)
    attempt(() => {
      const { position } = getComputedStyle(one);
      // What is around this does not matter. What scrolls in place of the window may be fixed to it.
      if (one === scroller) path.length = 0;
      // What is fixed to another element, and not to the window, has that as its offsetParent.
      else if (position === 'fixed' && !(one as HTMLElement).offsetParent) right = down = path.length = 0;
      // What is sticky belongs to the top of what it is in.
      else if (position === 'sticky') down += boxOf(ask(one, 'parentElement')).top - boxOf(one).top;
    });
  const { left, top, width, height } = boxOf(element);
  // A click made by a key is in the middle.
  const [x, y] = byHand ? [event.clientX, event.clientY] : [left + width / 2, top + height / 2];
  const place = [share(x - left, width), share(y - top, height)] as const;
  add(
    click(event.timeStamp, [pixel(x + right + hiddenLeft), pixel(y + down)], event.button, place, selectorOf(element)),
  );
}

/**
 * pushState and replaceState have no event of their own. In the end the page gets its own methods back, unless
 * another script has wrapped them since. Where they cannot be replaced, `settle` notices the page later.
 */
export function watchHistory(signal: AbortSignal): void {
  for (const name of ['pushState', 'replaceState'] as const)
    attempt(() => {
      const { history, History } = window;
      // On the prototype, where another script may wrap them later, and would not be called if the object had its own.
      // biome-ignore lint/suspicious/noPrototypeBuiltins: browsers got Object.hasOwn later than all else in here.
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

/** Where an element is in the window. */
function boxOf(element: Element): DOMRect {
  return ask(element, 'getBoundingClientRect') || {};
}

/**
 * Place within an element; servers take what is beyond it for its edge. An element without extent has but one place.
 */
function share(part: number, whole: number): number {
  return pixel(whole && (part / whole) * ELEMENT_SCALE);
}
