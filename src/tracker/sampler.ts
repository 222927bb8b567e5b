import {
  click,
  MARK,
  move,
  type Part,
  POINTER,
  type Point,
  page,
  part,
  RESIZE,
  SCROLL,
  type Size,
  VISIBILITY,
} from '../protocol/encode.ts';
import { pace, wake } from './beat.ts';
import { ask, attempt, guard, listen } from './guard.ts';
import { measure, pixel, scroller, shift } from './layout.ts';
import { ELEMENT_SCALE, MAX_PAGE, SIZE_MS } from './limits.ts';
import { add } from './outbox.ts';
import { selectorOf } from './selector.ts';

/** The page: never with the query, which may hold secrets, and not above the protocol's limit. */
export function currentPage(): string {
  return location.pathname.slice(0, MAX_PAGE);
}

type Place = Pick<PointerEvent, 'timeStamp' | 'pageX' | 'pageY'>;

/** What is named when something in it is clicked. */
const CONTROLS = 'a,button,input,label,[role=button]';

/** Time of the last move added. */
let movedAt = 0;
let latest: PointerEvent | undefined;
/** What the latest event was on. An event itself may forget it. */
let over: EventTarget | null = null;
/** The last place left out because it came too soon: the pointer may come to rest there. */
let skipped: Place | undefined;
/** The input of the label clicked in this task: the browser makes a click on it. */
let derived: EventTarget | undefined;
/** What the server was told last: sizes, hidden, page, scroll offset. */
let told: unknown[] = [];
let sizedAt = 0;

/** Watches the page until `signal` is aborted. */
export function watch(signal: AbortSignal): void {
  watchHistory(signal);
  listen(signal, {
    popstate: settle,
    pointermove: pointed,
    pointerdown: pointed,
    pointerup(event) {
      // A disabled control gets no click.
      if (ask(event.composedPath()[0] as Element, 'closest', ':disabled:not(fieldset)')) clicked(event, 1);
    },
    click: clicked,
    auxclick: clicked,
    scroll: wake,
    resize: resized,
    load: resized,
  });
}

/** The sizes of viewport and document, for a hello. What it does not tell will be added anew. */
export function begin(): Size {
  const size = look();
  told = [String(size), false];
  return size;
}

/** Adds what is only looked at now and then: the pointer come to rest, sizes, page, visibility, scroll offset. */
export const settle = guard(() => {
  const time = performance.now();
  if (time > sizedAt + SIZE_MS) {
    const size = look();
    tell(0, String(size), part(time, MARK, RESIZE, ...size));
  }
  const path = currentPage();
  if (tell(2, path, page(time, path))) sizedAt = 0;
  const hidden = ask(document, 'hidden');
  tell(1, hidden, part(time, MARK, VISIBILITY, +!hidden));
  const offset = pixel(scrollY + shift(scroller));
  // A mouse that rests while the page scrolls under it is elsewhere on the page.
  if (tell(3, offset, part(time, SCROLL, offset)) && latest?.pointerType === 'mouse')
    skipped = { timeStamp: time, pageX: latest.clientX + scrollX, pageY: latest.clientY + scrollY };
  if (skipped && isSoon(time)) wake();
  else if (skipped) moved(skipped);
});

/** Adds `part` if `now` is not what was told. */
function tell(what: number, now: unknown, part: Part): boolean {
  if (told[what] === now) return false;
  told[what] = now;
  add(part);
  return true;
}

function look(): Size {
  sizedAt = performance.now();
  return measure();
}

function resized(): void {
  sizedAt = 0;
  wake();
}

function pointed(event: PointerEvent): void {
  // A second finger tells nothing of where the visitor looks.
  if (!event.isPrimary) return;
  const type = event.pointerType;
  if (type !== latest?.pointerType)
    add(part(event.timeStamp, MARK, POINTER, type === 'touch' ? 1 : type === 'pen' ? 2 : 0));
  latest = event;
  over = event.target;
  const parts = event.getCoalescedEvents?.();
  for (const one of parts?.length ? parts : [event])
    if (isSoon(one.timeStamp)) skipped = one;
    else moved(one);
  wake();
}

/** Too soon after the last move for another. */
function isSoon(time: number): boolean {
  return time < movedAt + pace.sampleMs;
}

/** Adds a move. The pointer was there no earlier than sampling allows, for it still is. */
function moved({ timeStamp, pageX, pageY }: Place): void {
  skipped = undefined;
  movedAt = Math.max(timeStamp, movedAt + pace.sampleMs);
  add(move(movedAt, at(pageX, pageY)));
}

function clicked(event: MouseEvent, byHand = event.detail): void {
  const target = event.target as Element;
  // From a click on a label the browser makes another one for its input, within the same task.
  if (derived === target) return;
  derived = ask(target, 'closest', 'label')?.control;
  setTimeout(() => {
    derived = undefined;
  });
  skipped = undefined;
  let element: Element | undefined;
  /** Whether it scrolls with the page, and how far it then is from where it would be without scrolling. */
  let scrolls = 1;
  let down = scrollY + shift(target);
  const path = event.composedPath() as Element[];
  for (const one of path)
    attempt(() => {
      // An icon in a button is the button.
      if (ask(one, 'matches', CONTROLS)) element ??= one;
      const { position } = getComputedStyle(one);
      // What is fixed to another element, and not to the window, has that as its offsetParent.
      if (position === 'fixed' && !(one as HTMLElement).offsetParent) scrolls = 0;
      // What is sticky belongs to the top of what it is in.
      if (position === 'sticky')
        down += ask(ask(one, 'parentElement'), 'getBoundingClientRect').top - ask(one, 'getBoundingClientRect').top;
    });
  element ??= path[0] as Element;
  const { left, top, width, height } = ask(element, 'getBoundingClientRect');
  // A click made by a key is in the middle.
  const [x, y] = byHand ? [event.clientX, event.clientY] : [left + width / 2, top + height / 2];
  const place = [share(x - left, width), share(y - top, height)] as const;
  add(
    click(
      event.timeStamp,
      [pixel(x + scrolls * scrollX), pixel(y + scrolls * down)],
      event.button,
      place,
      selectorOf(element),
    ),
  );
}

/**
 * pushState and replaceState have no event of their own. In the end the page gets its own methods back, unless
 * another script has wrapped them since. Where they cannot be replaced, `settle` notices the page later.
 */
function watchHistory(signal: AbortSignal): void {
  for (const name of ['pushState', 'replaceState'] as const)
    attempt(() => {
      const original = history[name];
      const wrapped: typeof original = (...args) => {
        original.apply(history, args);
        settle();
      };
      history[name] = wrapped;
      signal.addEventListener('abort', () => {
        if (history[name] === wrapped) history[name] = original;
      });
    });
}

/** A place on the page, from how far it is from where the window began. */
function at(x: number, y: number): Point {
  return [pixel(x), pixel(y + shift(over))];
}

/** Place within an element; one without extent has none. */
function share(part: number, whole: number): number {
  return whole && pixel((part / whole) * ELEMENT_SCALE, ELEMENT_SCALE);
}
