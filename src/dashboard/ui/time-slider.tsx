import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';

export interface TimeSliderProps {
  label: string;
  /** Unix ms of both ends, and of the time chosen. */
  from: number;
  to: number;
  at: number;
  /** What the time is called. */
  text: (t: number) => string;
  /** What to say of a time that is pointed at; `reach` is how many milliseconds around count as it. */
  tip: (t: number, reach: number) => string;
  /** Steps of the arrow keys and of page up and down, milliseconds. */
  step: number;
  leap: number;
  /** Goes there also while it is dragged, and not only at its end. */
  eager?: true;
  seek: (t: number) => void;
  /** Lies below the head. */
  children?: ComponentChildren;
}

/** What is this near to the pointer is what it points at, CSS pixels. */
const REACH = 6;

/** A stretch of time to choose a moment of, by pointer or keys. */
export function TimeSlider(props: TimeSliderProps) {
  const { label, from, to, at, text, tip, eager, seek, children } = props;
  const line = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const [dragged, setDragged] = useState<number | null>(null);
  const length = Math.max(1, to - from);
  const shown = Math.min(Math.max(from, dragged ?? at), to);
  const share = (t: number) => `${(100 * (t - from)) / length}%`;
  const timeAt = (event: PointerEvent) => {
    const { left, width } = (line.current as HTMLElement).getBoundingClientRect();
    return from + Math.min(Math.max(0, (event.clientX - left) / width), 1) * length;
  };
  const drag = (event: PointerEvent) => {
    if (eager) seek(timeAt(event));
    else setDragged(timeAt(event));
  };
  const hold = (event: PointerEvent) => {
    if (event.button !== 0) return;
    line.current?.setPointerCapture(event.pointerId);
    drag(event);
  };
  const move = (event: PointerEvent) => {
    setPointed(timeAt(event));
    if (line.current?.hasPointerCapture(event.pointerId)) drag(event);
  };
  const release = () => {
    if (dragged !== null) seek(dragged);
    setDragged(null);
  };
  return (
    <div
      class="time-line"
      ref={line}
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={Math.round(length / 1000)}
      aria-valuenow={Math.round((shown - from) / 1000)}
      aria-valuetext={text(shown)}
      onPointerDown={hold}
      onPointerMove={move}
      onPointerUp={release}
      onPointerCancel={() => setDragged(null)}
      onPointerLeave={() => setPointed(null)}
      onKeyDown={(event) => press(event, props)}
    >
      {children}
      <span class="time-head" style={{ left: share(shown) }} />
      {pointed !== null && (
        <span class="time-tip" style={{ left: `clamp(4rem, ${share(pointed)}, 100% - 4rem)` }}>
          {tip(pointed, (REACH * length) / Math.max(1, line.current?.clientWidth ?? 1))}
        </span>
      )}
    </div>
  );
}

function press(event: KeyboardEvent, { from, to, at, step, leap, seek }: TimeSliderProps): void {
  const goals: Record<string, number> = {
    ArrowLeft: at - step,
    ArrowDown: at - step,
    ArrowRight: at + step,
    ArrowUp: at + step,
    PageDown: at - leap,
    PageUp: at + leap,
    Home: from,
    End: to,
  };
  const goal = goals[event.key];
  if (goal === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  seek(Math.min(Math.max(from, goal), to));
}
