import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { colour, rem, repaint } from '../shell/theme.ts';

export interface PlotProps {
  /** Times in Unix seconds, and a count or null for each. If it reads signals, the plot follows them. */
  rows: () => uPlot.AlignedData;
  /** A line, or one bar for each time. Bars are days in UTC. */
  style: 'line' | 'bars';
  /** Label on the axis for a time, Unix seconds. */
  name: (seconds: number) => string;
  /** Tooltip of the time under the pointer. */
  tip: (seconds: number, count: number) => string;
}

const DAY_S = 86_400;

/**
 * Counts over time. The plot fills its container, and is hidden from screen readers. If a property changes, it is
 * created again, so callers pass stable functions.
 */
export function Plot({ rows, style, name, tip }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => draw(box.current as HTMLElement, { rows, style, name, tip }), [rows, style, name, tip]);
  return <div class="curve" ref={box} aria-hidden="true" />;
}

/** Draws a plot in `box` and keeps it up to date. Returns a function that removes it. */
function draw(box: HTMLElement, props: PlotProps): () => void {
  let plot = plotIn(box, props);
  let drawnAt = rem();
  const observer = new ResizeObserver(() => {
    if (rem() === drawnAt) return plot.setSize(sizeOf(box));
    // Font sizes depend on the window, but a plot reads them only once.
    plot.destroy();
    plot = plotIn(box, props);
    drawnAt = rem();
  });
  observer.observe(box);
  const stops = [
    effect(() => plot.setData(props.rows())),
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

function plotIn(box: HTMLElement, props: PlotProps): uPlot {
  return new uPlot({ ...options(props), ...sizeOf(box) }, props.rows(), box);
}

function sizeOf(box: HTMLElement): { width: number; height: number } {
  return { width: Math.max(120, box.clientWidth), height: Math.max(60, box.clientHeight) };
}

function options(props: PlotProps): Omit<uPlot.Options, 'width' | 'height'> {
  const { style, name } = props;
  const isDays = style === 'bars';
  const axis = {
    stroke: () => colour('--muted'),
    font: `${0.72 * rem()}px system-ui, sans-serif`,
    ticks: { show: false },
  } satisfies uPlot.Axis;
  return {
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, bind: { mouseleave: leaveAfterMouse } },
    padding: [8, 26, 0, 0],
    scales: {
      x: { time: true, ...(isDays && { range: (_plot, from, to) => [from - DAY_S * 0.6, to + DAY_S * 0.6] }) },
      y: { range: (_plot, _low, high) => [0, Math.max(4, Math.ceil(high * 1.15))] },
    },
    // Days start at midnight UTC in every time zone.
    ...(isDays && { tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'UTC') }),
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 1.6 * rem(),
        space: 4.2 * rem(),
        values: (_plot, times) => times.map(name),
        ...(isDays && { incrs: [1, 2, 3, 7, 14, 30, 60, 90].map((days) => days * DAY_S) }),
      },
      {
        ...axis,
        size: 2.3 * rem(),
        space: 1.8 * rem(),
        grid: { stroke: () => colour('--line'), width: 1 },
        incrs: [1, 2, 5]
          .flatMap((n) => [n, n * 10, n * 100, n * 1000, n * 1e4, n * 1e5, n * 1e6])
          .sort((a, b) => a - b),
      },
    ],
    series: [
      {},
      {
        stroke: () => colour('--accent'),
        fill: shade,
        width: 2,
        points: { show: !isDays, filter: alone },
        ...pathsOf(style),
      },
    ],
    hooks: { init: [addTip], setCursor: [(plot) => showTip(plot, props)] },
  };
}

function pathsOf(style: PlotProps['style']): Pick<uPlot.Series, 'paths'> {
  const { spline, bars } = uPlot.paths;
  if (style === 'bars') return bars ? { paths: bars({ size: [0.7, 48], radius: 0.15 }) } : {};
  return spline ? { paths: spline() } : {};
}

/** Indexes of counts without neighbours: no line goes through them, so they are drawn as points. */
function alone({ data }: uPlot, series: number): number[] {
  const counts = data[series] ?? [];
  const isThere = (i: number) => typeof counts[i] === 'number';
  return [...counts.keys()].filter((i) => isThere(i) && !isThere(i - 1) && !isThere(i + 1));
}

/** The fill below the line: the accent colour, which fades downwards. */
function shade(plot: uPlot): CanvasGradient {
  const { top, height } = plot.bbox;
  const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
  const accent = colour('--accent');
  gradient.addColorStop(0, `color-mix(in srgb, ${accent} 45%, transparent)`);
  gradient.addColorStop(1, `color-mix(in srgb, ${accent} 4%, transparent)`);
  return gradient;
}

/** The tooltip of each plot. */
const tips = new WeakMap<uPlot, HTMLElement>();
/** When a finger or pen last touched each plot. */
const touches = new WeakMap<uPlot, number>();
/**
 * A tap is followed by mouse events, and in some browsers the mouse then returns to its own position. A `mouseleave`
 * within this time after a touch is ignored, milliseconds.
 */
const TAP_MS = 500;

function leaveAfterMouse(plot: uPlot, _over: HTMLElement, leave: (event: MouseEvent) => null) {
  return (event: MouseEvent) => (performance.now() - (touches.get(plot) ?? -TAP_MS) < TAP_MS ? null : leave(event));
}

/** Adds the tooltip. uPlot follows only the mouse, so fingers and pens are handled here. */
function addTip(plot: uPlot): void {
  const tip = document.createElement('span');
  tip.className = 'time-tip plot-tip';
  tip.hidden = true;
  plot.over.append(tip);
  tips.set(plot, tip);
  const follow = ({ pointerType, clientX, clientY }: PointerEvent) => {
    if (pointerType === 'mouse') return;
    touches.set(plot, performance.now());
    const { left, top } = plot.over.getBoundingClientRect();
    plot.setCursor({ left: clientX - left, top: clientY - top });
  };
  for (const type of ['pointerdown', 'pointermove'] as const) plot.over.addEventListener(type, follow);
}

/** Shows the time under the pointer and its count, on the side with more space. */
function showTip(plot: uPlot, { name, tip }: PlotProps): void {
  const box = tips.get(plot);
  if (!box) return;
  const i = plot.cursor.idx;
  const time = i == null ? undefined : plot.data[0][i];
  const left = plot.cursor.left ?? -1;
  box.hidden = time === undefined || left < 0;
  if (i == null || time === undefined) return;
  const value = plot.data[1]?.[i];
  box.textContent = value == null ? `${name(time)}: unknown` : tip(time, value);
  const width = plot.over.clientWidth;
  const isLeft = left < width / 2;
  box.style.left = isLeft ? `${left + 10}px` : '';
  box.style.right = isLeft ? '' : `${width - left + 10}px`;
}
