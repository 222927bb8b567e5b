import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import type { LiveScene, LiveVisitor } from '../live/live-state.ts';
import { Pointers } from './pointers.tsx';
import type { Stage } from './stage.ts';
import { countText, readablePath } from './text.ts';
import { useExtent, useSize, useStage } from './use-stage.ts';
import { type Extent, type Fit, scaleOf, viewportOf } from './view.ts';
import { isOf, type Width } from './width-class.ts';

export interface StageBoxProps {
  scene: LiveScene;
  /** Changes whenever the live state has changed. */
  version: number;
  site: string | null;
  page: string | null;
  /** Window size that is shown; null: all. */
  width?: Width | null;
  /** The followed visitor, whose window fills the stage. */
  leader: LiveVisitor | undefined;
  fit: Fit;
  /** Address of the page to show behind the pointers. */
  url: string | undefined;
  /** Called with the id of the visitor whose pointer was clicked. */
  choose?: (id: string) => void;
  /** Shown on top of the stage. */
  children?: ComponentChildren;
}

/** One page, with all pointers that move on it. */
export function StageBox({ scene, site, page, width = null, leader, fit, url, choose, children }: StageBoxProps) {
  const scroller = useRef<HTMLElement>(null);
  const surface = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const box = useSize(scroller);
  const extent = useExtent(scene.liveState, site, page, width, leader);
  const scale = scaleOf(box, extent, fit, leader && viewportOf(leader));
  const picture = useStage({ canvas, scroller, surface }, scene, box, {
    page,
    scale,
    width,
    followed: leader?.visitor.id ?? null,
  });
  const count = [...scene.liveState.people.values()].filter(
    ({ visitor }) => visitor.page === page && isOf(visitor.device, width),
  ).length;
  const size = { width: `${extent.width * scale}px`, height: `${extent.height * scale}px` };
  return (
    <>
      <div class="stage-box">
        {/* biome-ignore lint/a11y/useKeyWithClickEvents: the list of visitors does the same with the keyboard */}
        <section
          class={leader ? 'scroller locked' : 'scroller'}
          ref={scroller}
          aria-label={`${page === null ? 'No page' : readablePath(page)}, ${countText(count, 'pointer')}`}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region needs the focus to be scrolled by keys
          tabIndex={0}
          onScroll={() => picture.current?.animate()}
          onClick={(event) => choose && pick(event, picture.current, scroller.current, choose)}
        >
          <div class="surface" ref={surface} data-scale={scale} style={size}>
            {url !== undefined && <Preview url={url} extent={extent} scale={scale} />}
          </div>
        </section>
        <canvas ref={canvas} />
        {children}
      </div>
      <Pointers liveState={scene.liveState} page={page} width={width} />
    </>
  );
}

function pick(
  event: MouseEvent,
  picture: Stage | undefined,
  scroller: HTMLElement | null,
  choose: (id: string) => void,
): void {
  const box = scroller?.getBoundingClientRect();
  const person = box && picture?.at(event.clientX - box.left, event.clientY - box.top);
  if (person) choose(person.visitor.id);
}

/** The page behind the pointers. Without scripts, so that the preview is not counted as a visit. */
export function Preview({ url, extent, scale }: { url: string; extent: Extent; scale: number }) {
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
