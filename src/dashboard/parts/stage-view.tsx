import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Person, StreamEvent } from '../crowd.ts';
import { keep, kept } from '../kept.ts';
import { Stage } from '../stage.ts';
import { beat, crowd, follow, followed, motion, showPage, site, stage } from '../state.ts';
import { count } from '../text.ts';
import { type Extent, extentOf, extentOfOne, type Fit, scaleOf, viewportOf } from '../view.ts';
import { BadgeMark } from './badge.tsx';
import { Empty } from './empty.tsx';
import { CloseIcon } from './icons.tsx';
import { Pointers } from './pointers.tsx';
import { previewOf } from './preview.ts';

/** The stage: one page, and every pointer on it in motion. */
export function StageView() {
  beat.value;
  const page = stage.value;
  const scroller = useRef<HTMLDivElement>(null);
  const surface = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [fit, setFit] = useState<Fit>('width');
  const [wish, setWish] = useState<string | null>(() => kept('preview'));
  const leader = followed.value === null ? undefined : crowd.byId(followed.value);
  const box = useSize(scroller);
  const extent = useExtent(page, leader);
  const scale = scaleOf(box, extent, fit, leader && viewportOf(leader));
  const picture = useStage(canvas, scroller, surface, box, scale);
  const preview = previewOf(crowd.people.values(), page, location.origin, leader);
  const shown = preview !== undefined && (wish === null ? preview.own : wish === 'yes');
  const here = crowd.pages().find((one) => one.page === page)?.visitors ?? 0;

  return (
    <section class="card stage" aria-label="Stage">
      <div class="bar">
        <h2>On stage</h2>
        <PageChooser />
        <span class="muted nowrap">{count(here, 'visitor')}</span>
        <span class="gap" />
        {leader && <FollowChip leader={leader} />}
        {preview && (
          <label class="switch">
            <input
              type="checkbox"
              checked={shown}
              onChange={(event) => {
                const value = event.currentTarget.checked ? 'yes' : 'no';
                setWish(value);
                keep('preview', value);
              }}
            />
            Show the page
          </label>
        )}
        {!leader && <FitChooser fit={fit} choose={setFit} />}
      </div>
      <div class="stage-box">
        {/* biome-ignore lint/a11y/useKeyWithClickEvents: the list of visitors does the same with the keyboard */}
        <section
          class={leader ? 'scroller held' : 'scroller'}
          ref={scroller}
          aria-label={`${page ?? 'No page'}, ${count(here, 'pointer')}`}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region needs the focus to be scrolled by keys
          tabIndex={0}
          onScroll={() => picture.current?.wake()}
          onClick={(event) => pick(event, picture.current, scroller.current)}
        >
          <div
            class="surface"
            ref={surface}
            data-scale={scale}
            style={{ width: `${extent.width * scale}px`, height: `${extent.height * scale}px` }}
          >
            {shown && <Preview url={preview.url} extent={extent} scale={scale} />}
          </div>
        </section>
        <canvas ref={canvas} />
        {crowd.known && crowd.people.size === 0 && <Empty />}
        {crowd.known && crowd.people.size > 0 && here === 0 && <p class="hint">Nobody is on this page now.</p>}
      </div>
      <Pointers page={page} delay={picture.current?.delay ?? 0} />
    </section>
  );
}

function pick(event: MouseEvent, picture: Stage | undefined, scroller: HTMLElement | null): void {
  const box = scroller?.getBoundingClientRect();
  const person = box && picture?.at(event.clientX - box.left, event.clientY - box.top);
  if (person) follow(person.visitor.id);
}

/** The page behind the pointers: without scripts, so that looking at it counts for nothing. */
function Preview({ url, extent, scale }: { url: string; extent: Extent; scale: number }) {
  return (
    <iframe
      class="preview"
      title="The page on stage"
      sandbox=""
      src={url}
      tabIndex={-1}
      aria-hidden="true"
      referrerpolicy="no-referrer"
      scrolling="no"
      style={{ width: `${extent.width}px`, height: `${extent.height}px`, transform: `scale(${scale})` }}
    />
  );
}

function PageChooser() {
  beat.value;
  const page = stage.value;
  const pages = crowd.pages();
  const missing = page !== null && !pages.some((one) => one.page === page);
  return (
    <select
      aria-label="Page on stage"
      class="page-chooser"
      data-page={page}
      value={page ?? ''}
      onChange={(event) => showPage(event.currentTarget.value || null)}
    >
      <option value="">The fullest page</option>
      {missing && <option value={page}>{page}</option>}
      {pages.slice(0, 100).map((one) => (
        <option key={one.page} value={one.page}>
          {one.page} ({one.visitors})
        </option>
      ))}
    </select>
  );
}

function FitChooser({ fit, choose }: { fit: Fit; choose: (fit: Fit) => void }) {
  return (
    <fieldset class="choice">
      <legend class="unseen">Size of the page</legend>
      {(['width', 'whole'] as const).map((one) => (
        <button key={one} type="button" aria-pressed={fit === one} onClick={() => choose(one)}>
          {one === 'width' ? 'Width' : 'Whole'}
        </button>
      ))}
    </fieldset>
  );
}

function FollowChip({ leader }: { leader: Person }) {
  return (
    <button type="button" class="chip" onClick={() => follow(null)} aria-label={`Stop following ${leader.badge.name}`}>
      <BadgeMark badge={leader.badge} />
      <span>Following {leader.badge.name}</span>
      <kbd>Esc</kbd>
      <CloseIcon />
    </button>
  );
}

function useSize(ref: { current: HTMLElement | null }): Extent {
  const [size, setSize] = useState<Extent>({ width: 800, height: 600 });
  useEffect(() => {
    const element = ref.current as HTMLElement;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return size;
}

/** The extent of the page on stage; of the followed visitor's own document while one is followed. */
function useExtent(page: string | null, leader: Person | undefined): Extent {
  const memory = useRef<{ of: string; extent: Extent } | undefined>(undefined);
  const of = `${site.value} ${page}`;
  const before = memory.current?.of === of ? memory.current.extent : undefined;
  const extent = extentOf(crowd.people.values(), page ?? '', before);
  const somebody = [...crowd.people.values()].some((person) => person.visitor.page === page);
  memory.current = somebody ? { of, extent } : undefined;
  const { width, height } = (leader && extentOfOne(leader)) ?? extent;
  return useMemo(() => ({ width, height }), [width, height]);
}

/** Keeps the moving picture in step with what React-like rendering decides. */
function useStage(
  canvas: { current: HTMLCanvasElement | null },
  scroller: { current: HTMLElement | null },
  surface: { current: HTMLElement | null },
  box: Extent,
  scale: number,
) {
  const picture = useRef<Stage | undefined>(undefined);
  useEffect(() => {
    const made = new Stage(
      canvas.current as HTMLCanvasElement,
      scroller.current as HTMLElement,
      surface.current as HTMLElement,
      crowd,
    );
    picture.current = made;
    const listener = (event: StreamEvent) => react(made, event);
    motion.add(listener);
    return () => {
      motion.delete(listener);
      made.close();
    };
  }, [canvas, scroller, surface]);
  useEffect(() => {
    const element = scroller.current as HTMLElement;
    picture.current?.resize(element.clientWidth, element.clientHeight);
  }, [box, scroller]);
  useEffect(() => picture.current?.show({ page: stage.value, scale, followed: followed.value }));
  return picture;
}

function react(picture: Stage, event: StreamEvent): void {
  picture.wake();
  if (event.name !== 'click') return;
  const person = crowd.people.get(event.data.v);
  if (person && event.data.page === stage.peek()) picture.ripple(event.data.x, event.data.y, person.badge.colour);
}
