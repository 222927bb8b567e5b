import { useMemo, useRef, useState } from 'preact/hooks';
import { CELL, type Heat, type HeatKind } from '../../model/heat.ts';
import { Preview } from '../ui/stage-box.tsx';
import { countText } from '../ui/text.ts';
import { useSize } from '../ui/use-stage.ts';
import { type Extent, MAX, scaleOf } from '../ui/view.ts';
import { audienceText, drawnCells, foldsOf, sharesOf } from './cells.ts';

export interface HeatStageProps {
  heat: Heat;
  kind: HeatKind;
  /** Address of the picture that covers the page. */
  picture: string;
  /** 0 to 1. */
  opacity: number;
  /** Address of the page behind the heatmap. */
  url: string | undefined;
}

/** A heatmap on its page, with the count under the pointer. */
export function HeatStage({ heat, kind, picture, opacity, url }: HeatStageProps) {
  const scroller = useRef<HTMLElement>(null);
  const surface = useRef<HTMLDivElement>(null);
  const box = useSize(scroller);
  const [width, height] = heat.extent;
  const page: Extent = { width: Math.max(width, 1), height: Math.max(height, 1) };
  const scale = scaleOf(box, page, 'width');
  const size = { width: `${page.width * scale}px`, height: `${page.height * scale}px` };
  const [probe, setProbe] = useState<[x: number, y: number] | null>(null);
  const point = (event: PointerEvent) => {
    const { left, top } = (surface.current as HTMLElement).getBoundingClientRect();
    const [x, y] = [(event.clientX - left) / scale, (event.clientY - top) / scale];
    setProbe(x >= 0 && y >= 0 && x < page.width && y < page.height ? [x, y] : null);
  };
  return (
    <section
      class="scroller"
      ref={scroller}
      aria-label="Heatmap"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region needs the focus to be scrolled by keys
      tabIndex={0}
      onPointerMove={point}
      onPointerLeave={() => setProbe(null)}
    >
      <div class="surface" ref={surface} data-scale={scale} style={size}>
        {url !== undefined && <Preview url={url} extent={within(page)} scale={scale} />}
        <Picture key={picture} src={picture} opacity={opacity} />
        {kind === 'scroll' && <Folds heat={heat} scale={scale} />}
        {probe && <Probe heat={heat} kind={kind} scale={scale} at={probe} />}
      </div>
    </section>
  );
}

/** Limits the frame to the maximum size of a page. */
function within({ width, height }: Extent): Extent {
  return { width: Math.min(width, MAX.width), height: Math.min(height, MAX.height) };
}

/**
 * The picture, or a message while it is loading or if it fails. Its key must be its address: if an effect reset the
 * state instead, that could happen after a cached picture has loaded.
 */
function Picture({ src, opacity }: { src: string; opacity: number }) {
  const [state, setState] = useState<'loading' | 'ready' | 'failed'>('loading');
  const [round, setRound] = useState(0);
  const retry = () => {
    setState('loading');
    setRound((n) => n + 1);
  };
  return (
    <>
      <img
        key={round}
        class="heat"
        src={src}
        alt=""
        data-state={state}
        style={{ opacity }}
        onLoad={() => setState('ready')}
        onError={() => setState('failed')}
      />
      {state === 'loading' && <p class="over pinned">Drawing…</p>}
      {state === 'failed' && (
        <div class="over pinned" role="alert">
          <p>The heatmap could not be loaded.</p>
          <button type="button" class="primary" onClick={retry}>
            Retry
          </button>
        </div>
      )}
    </>
  );
}

/** Height of a label, stage pixels. Labels of lines that are closer are stacked. */
const LABEL_HEIGHT = 24;

/** Labels of the lines of a scroll map. */
function Folds({ heat, scale }: { heat: Heat; scale: number }) {
  const folds = useMemo(() => foldsOf(heat), [heat]);
  let above = 0;
  return (
    <>
      {folds.map((fold) => {
        const line = fold.y * scale;
        above = Math.max(line, above + LABEL_HEIGHT);
        const who = audienceText(fold);
        return (
          <p
            key={fold.y}
            class="fold"
            data-shares={fold.shares.join(' ')}
            data-y={fold.y}
            style={{ top: `${above}px` }}
          >
            {who[0]?.toUpperCase() + who.slice(1)} saw the page down to {above === line ? 'here' : 'the line above'}
            <span class="unseen">: {fold.y} pixels</span>
          </p>
        );
      })}
    </>
  );
}

interface ProbeProps {
  heat: Heat;
  kind: HeatKind;
  scale: number;
  /** Page pixels. */
  at: [x: number, y: number];
}

/** The count under the pointer. */
function Probe({ heat, kind, scale, at: [x, y] }: ProbeProps) {
  const countAt = useMemo(() => (kind === 'scroll' ? undefined : drawnCells(heat)), [heat, kind]);
  const share = useMemo(() => sharesOf(heat), [heat]);
  const [column, row] = [Math.floor(x / CELL), Math.floor(y / CELL)];
  const count = countAt?.(column, row);
  const edge = CELL * scale;
  const text =
    count === undefined
      ? `${Math.round(100 * share(y))} % of ${countText(heat.views, 'view')} reached this point`
      : `${countText(count, kind)} here`;
  const box = { left: `${column * edge}px`, top: `${row * edge}px`, width: `${edge}px`, height: `${edge}px` };
  const isLeft = x < heat.extent[0] / 2;
  const tip = isLeft
    ? { left: `${(column + 1) * edge + 6}px`, top: `${row * edge}px` }
    : { right: `${(heat.extent[0] - column * CELL) * scale + 6}px`, top: `${row * edge}px` };
  return (
    <>
      {count !== undefined && <span class="probe" style={box} />}
      <span class="time-tip probe-tip" data-count={count ?? Math.round(100 * share(y))} style={tip}>
        {text}
      </span>
    </>
  );
}
