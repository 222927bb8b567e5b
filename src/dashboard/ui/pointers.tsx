import type { LiveState } from '../live/live-state.ts';
import { isOf, type Width } from './width-class.ts';

/** Maximum number of entries: more would only burden screen readers. */
const MAX = 200;

export interface PointersProps {
  liveState: LiveState;
  page: string | null;
  /** Window size that is shown; null: all. */
  width: Width | null;
}

/** The pointers on stage as text, for people who cannot see the canvas. `data-x` and `data-y` are page pixels. */
export function Pointers({ liveState, page, width }: PointersProps) {
  const now = liveState.clock.now();
  const { delay } = liveState;
  const shown = [...liveState.people.values()].filter(
    ({ visitor, track }) => visitor.page === page && isOf(visitor.device, width) && track.advance(now, delay),
  );
  return (
    <ul class="unseen" id="pointers" aria-label="Pointers on stage">
      {shown.slice(0, MAX).map(({ visitor, badge, track }) => {
        const [x, y] = [Math.round(track.x), Math.round(track.y)];
        return (
          <li key={visitor.id} data-v={visitor.v} data-id={visitor.id} data-x={x} data-y={y}>
            {badge.name} at {x}, {y}
          </li>
        );
      })}
    </ul>
  );
}
