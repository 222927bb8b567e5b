import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { beat, crowd, second } from '../state.ts';
import { count, shortClock } from '../text.ts';
import { colour, rem, repaint } from '../theme.ts';

/** Visitors per minute over the last hour, and a line of text that says the same. */
export function Curve() {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => draw(box.current as HTMLElement), []);
  second.value;
  const [, counts] = crowd.minutes.rows(crowd.time, crowd.people.size);
  return (
    <>
      <div class="curve" ref={box} aria-hidden="true" />
      <p class="unseen">At most {count(Math.max(...counts), 'visitor')} at once in the last 60 minutes.</p>
    </>
  );
}

/** Keeps a plot in `box` up to date. Returns how to end it. */
function draw(box: HTMLElement): () => void {
  let plot = plotIn(box);
  let drawnAt = rem();
  const observer = new ResizeObserver(() => {
    if (rem() === drawnAt) return plot.setSize(sizeOf(box));
    // A plot reads its fonts once; they grow with the window.
    plot.destroy();
    plot = plotIn(box);
    drawnAt = rem();
  });
  observer.observe(box);
  const stops = [
    effect(() => {
      second.value;
      beat.value;
      plot.setData(rows());
    }),
    effect(() => {
      repaint.value;
      plot.redraw(false, true);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    observer.disconnect();
    plot.destroy();
  };
}

function plotIn(box: HTMLElement): uPlot {
  return new uPlot({ ...options(), ...sizeOf(box) }, rows(), box);
}

function sizeOf(box: HTMLElement): { width: number; height: number } {
  return { width: Math.max(120, box.clientWidth), height: Math.max(60, box.clientHeight) };
}

function rows(): uPlot.AlignedData {
  return crowd.minutes.rows(crowd.time, crowd.people.size);
}

function options(): Omit<uPlot.Options, 'width' | 'height'> {
  const axis = {
    stroke: () => colour('--muted'),
    font: `${0.72 * rem()}px system-ui, sans-serif`,
    ticks: { show: false },
  } satisfies uPlot.Axis;
  return {
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    padding: [8, 26, 0, 0],
    scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, Math.max(4, Math.ceil(high * 1.15))] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 1.6 * rem(),
        space: 4.2 * rem(),
        values: (_plot, times) => times.map(hour),
      },
      {
        ...axis,
        size: 2.3 * rem(),
        space: 1.8 * rem(),
        grid: { stroke: () => colour('--line'), width: 1 },
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000],
      },
    ],
    series: [
      {},
      {
        stroke: () => colour('--accent'),
        fill: shade,
        width: 2,
        points: { show: false },
        ...(uPlot.paths.spline && { paths: uPlot.paths.spline() }),
      },
    ],
    hooks: { setCursor: [tell] },
  };
}

function hour(seconds: number): string {
  return shortClock.format(seconds * 1000);
}

/** Accent below the line, thinning out downwards. */
function shade(plot: uPlot): CanvasGradient {
  const { top, height } = plot.bbox;
  const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
  const accent = colour('--accent');
  gradient.addColorStop(0, `color-mix(in srgb, ${accent} 45%, transparent)`);
  gradient.addColorStop(1, `color-mix(in srgb, ${accent} 4%, transparent)`);
  return gradient;
}

/** The minute under the pointer, as a tooltip. */
function tell(plot: uPlot): void {
  const i = plot.cursor.idx;
  const time = i == null ? undefined : plot.data[0][i];
  const visitors = i == null ? undefined : plot.data[1]?.[i];
  plot.over.title = time === undefined ? '' : `${hour(time)}: ${count(visitors ?? 0, 'visitor')}`;
}
