import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';

export interface TimeSliderProps {
  label: string;
  /** Start, end and chosen time, Unix ms. */
  from: number;
  to: number;
  at: number;
  /** Text for a time, for screen readers. */
  text: (t: number) => string;
  /** Tooltip of a time under the pointer. Anything within `tolerance` milliseconds counts as under the pointer. */
  tip: (t: number, tolerance: number) => string;
  /** Steps of the arrow keys and of Page Up and Page Down, milliseconds. */
  step: number;
  pageStep: number;
  /** Calls `seek` while the slider is dragged, not only at the end. */
  eager?: true;
  seek: (t: number) => void;
  /** Drawn below the handle. */
  children?: ComponentChildren;
}

/** Anything this close to the pointer counts as under it, CSS pixels. */
const TIP_DISTANCE = 6;

/** Chooses a moment of a time span, by pointer or keyboard. */
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
          {tip(pointed, (TIP_DISTANCE * length) / Math.max(1, line.current?.clientWidth ?? 1))}
        </span>
      )}
    </div>
  );
}

function press(event: KeyboardEvent, { from, to, at, step, pageStep, seek }: TimeSliderProps): void {
  const targets: Record<string, number> = {
    ArrowLeft: at - step,
    ArrowDown: at - step,
    ArrowRight: at + step,
    ArrowUp: at + step,
    PageDown: at - pageStep,
    PageUp: at + pageStep,
    Home: from,
    End: to,
  };
  const target = targets[event.key];
  if (target === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  seek(Math.min(Math.max(from, target), to));
}
