import { useEffect, useRef, useState } from 'preact/hooks';
import { keep, kept } from '../kept.ts';
import { query } from '../route.ts';
import type { Stage } from '../stage.ts';
import { beat, crowd, follow, followed, stage } from '../state.ts';
import { count } from '../text.ts';
import { type Extent, type Fit, scaleOf, viewportOf } from '../view.ts';
import { Empty } from './empty.tsx';
import { Pointers } from './pointers.tsx';
import { type PagePreview, previewOf } from './preview.ts';
import { StageBar } from './stage-bar.tsx';
import { useExtent, useSize, useStage } from './use-stage.ts';

/** The stage: one page, and every pointer on it in motion. */
export function StageView() {
  beat.value;
  const page = stage.value;
  const scroller = useRef<HTMLElement>(null);
  const surface = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [fit, setFit] = useState<Fit>('width');
  const leader = followed.value === null ? undefined : crowd.byId(followed.value);
  const box = useSize(scroller);
  const extent = useExtent(page, leader);
  const scale = scaleOf(box, extent, fit, leader && viewportOf(leader));
  const picture = useStage({ canvas, scroller, surface }, box, scale);
  const preview = previewOf(crowd.people.values(), page, location.origin, leader);
  const [shown, choosePreview] = useWish(preview);
  const here = crowd.pages().find((one) => one.page === page)?.visitors ?? 0;
  const card = useInSight(followed.value ?? query.value.get('page'));
  const size = { width: `${extent.width * scale}px`, height: `${extent.height * scale}px` };
  return (
    <section class="card stage" aria-label="Stage" ref={card}>
      <StageBar {...{ here, leader, fit, choosePreview }} chooseFit={setFit} preview={preview && shown} />
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
          <div class="surface" ref={surface} data-scale={scale} style={size}>
            {preview && shown && <Preview url={preview.url} extent={extent} scale={scale} />}
          </div>
        </section>
        <canvas ref={canvas} />
        {crowd.known && <Absence here={here} />}
      </div>
      <Pointers page={page} delay={picture.current?.delay ?? 0} />
    </section>
  );
}

/** Whether to show the page: as chosen in this browser; without a choice, where it tells nobody anything. */
function useWish(preview: PagePreview | undefined): [boolean, (shown: boolean) => void] {
  const [wish, setWish] = useState(() => kept('preview'));
  const choose = (shown: boolean) => {
    const value = shown ? 'yes' : 'no';
    setWish(value);
    keep('preview', value);
  };
  return [wish === null ? (preview?.own ?? false) : wish === 'yes', choose];
}

/** On small screens the lists lie below the stage: who chooses something there shall see it. */
function useInSight(chosen: string | null) {
  const card = useRef<HTMLElement>(null);
  const before = useRef(chosen);
  useEffect(() => {
    if (chosen !== null && chosen !== before.current) card.current?.scrollIntoView({ block: 'nearest' });
    before.current = chosen;
  }, [chosen]);
  return card;
}

function Absence({ here }: { here: number }) {
  beat.value;
  if (crowd.people.size === 0) return <Empty />;
  return here === 0 ? <p class="hint">Nobody is on this page now.</p> : null;
}

/** Follows the visitor whose pointer was clicked. */
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
