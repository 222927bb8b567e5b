import {
  click,
  MARK,
  move,
  type Part,
  POINTER,
  page,
  part,
  RESIZE,
  SCROLL,
  type Size,
  VISIBILITY,
} from '../protocol/encode.ts';
import { pace, wake } from './beat.ts';
import { ask, guard, listen } from './guard.ts';
import { ELEMENT_SCALE, MAX_COORDINATE, MAX_PAGE, SIZE_MS } from './limits.ts';
import { add } from './outbox.ts';
import { selectorOf } from './selector.ts';

/** The page: never with the query, which may hold secrets, and not above the protocol's limit. */
export function currentPage(): string {
  return location.pathname.slice(0, MAX_PAGE);
}

type Place = Pick<PointerEvent, 'timeStamp' | 'pageX' | 'pageY'>;

/** Time of the last move added. */
let movedAt = 0;
let latest: PointerEvent | undefined;
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
export function settle(): void {
  const time = performance.now();
  if (time > sizedAt + SIZE_MS) {
    const size = look();
    tell(0, String(size), part(time, MARK, RESIZE, ...size));
  }
  const path = currentPage();
  if (tell(2, path, page(time, path))) sizedAt = 0;
  tell(1, document.hidden, part(time, MARK, VISIBILITY, +!document.hidden));
  const offset = pixel(scrollY);
  // A mouse that rests while the page scrolls under it is elsewhere on the page.
  if (tell(3, offset, part(time, SCROLL, offset)) && latest?.pointerType === 'mouse')
    skipped = { timeStamp: time, pageX: latest.clientX + scrollX, pageY: latest.clientY + scrollY };
  if (skipped && isSoon(time)) wake();
  else if (skipped) moved(skipped);
}

/** Adds `part` if `now` is not what was told. */
function tell(what: number, now: unknown, part: Part): boolean {
  if (told[what] === now) return false;
  told[what] = now;
  add(part);
  return true;
}

function look(): Size {
  const { scrollWidth, scrollHeight } = document.documentElement;
  sizedAt = performance.now();
  return [innerWidth, innerHeight, scrollWidth, scrollHeight].map((one) => pixel(one)) as unknown as Size;
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
  add(move(movedAt, [pixel(pageX), pixel(pageY)]));
}

function clicked(event: MouseEvent): void {
  const target = event.target as Element;
  // From a click on a label the browser makes another one for its input, within the same task.
  if (derived === target) return;
  derived = ask(target, 'closest', 'label')?.control;
  setTimeout(() => {
    derived = undefined;
  });
  skipped = undefined;
  const { left, top, width, height } = ask(target, 'getBoundingClientRect');
  // A click made by a key is in the middle.
  const x = event.detail ? event.clientX : left + width / 2;
  const y = event.detail ? event.clientY : top + height / 2;
  const at = [pixel(x + scrollX), pixel(y + scrollY)] as const;
  const place = [share(x - left, width), share(y - top, height)] as const;
  add(click(event.timeStamp, at, event.button, place, selectorOf(target)));
}

/**
 * pushState and replaceState have no event of their own. In the end the page gets its own methods back, unless
 * another script has wrapped them since. Where they cannot be replaced, `settle` notices the page later.
 */
function watchHistory(signal: AbortSignal): void {
  const tell = guard(settle);
  for (const name of ['pushState', 'replaceState'] as const)
    guard(() => {
      const original = history[name];
      const wrapped: typeof original = (...args) => {
        original.apply(history, args);
        tell();
      };
      history[name] = wrapped;
      signal.addEventListener('abort', () => {
        if (history[name] === wrapped) history[name] = original;
      });
    })();
}

/** Whole page pixels, within what a frame may name. Rubber-band scrolling and captured pointers go below 0. */
function pixel(value: number, most = MAX_COORDINATE): number {
  return Math.round(Math.min(most, Math.max(0, value)));
}

/** Place within an element; one without extent has none. */
function share(part: number, whole: number): number {
  return whole && pixel((part / whole) * ELEMENT_SCALE, ELEMENT_SCALE);
}
