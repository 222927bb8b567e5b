import { playTime } from '../ui/text.ts';
import { TimeSlider } from '../ui/time-slider.tsx';
import type { Player } from './player.ts';
import type { TimelineMark } from './recording.ts';

/** Steps of the arrow keys and of Page Up and Page Down, milliseconds. */
export const STEP_MS = 5000;
const PAGE_STEP_MS = 30_000;
/** Maximum number of marks: more would look like a solid bar. */
const MAX_MARKS = 600;

/** A slider over the whole visit. It shows clicks, page changes, quiet times, and the loaded part. */
export function TimeLine({ player }: { player: Player }) {
  player.parts.value;
  const { recording, playback } = player;
  const { start } = recording;
  const length = Math.max(1, recording.end - start);
  const share = (t: number) => `${(100 * Math.min(Math.max(0, t - start), length)) / length}%`;
  const now = playback.at.value;
  return (
    <TimeSlider
      label="Time"
      from={start}
      to={start + length}
      at={now}
      text={(t) => `${playTime(t - start)} of ${playTime(length)}`}
      tip={(t, reach) => tipAt(t, player, reach)}
      step={STEP_MS}
      pageStep={PAGE_STEP_MS}
      eager
      seek={(t) => player.seek(t)}
    >
      <div class="time-rail">
        <span class="time-loaded" style={{ width: share(recording.horizon) }} />
        {recording.quiet.map(({ from, to }) => (
          <span
            key={from}
            class="time-quiet"
            style={{ left: share(from), width: `${(100 * (to - from)) / length}%` }}
          />
        ))}
        <span class="time-played" style={{ width: share(now) }} />
      </div>
      {recording.marks.slice(0, MAX_MARKS).map((mark, i) => (
        <span key={i} class={`mark ${mark.kind}`} data-t={mark.t - start} style={{ left: share(mark.t) }} />
      ))}
    </TimeSlider>
  );
}

/** Text for a time: the nearest mark within `tolerance` milliseconds, or the absence of activity. */
function tipAt(t: number, { recording }: Player, reach: number): string {
  const { start } = recording;
  const mark = nearestMark(recording.marks, t);
  if (mark && Math.abs(mark.t - t) <= reach) return `${playTime(mark.t - start)} · ${nameOf(mark)}`;
  return recording.quietAt(t) ? `${playTime(t - start)} · no activity` : playTime(t - start);
}

function nearestMark(marks: readonly TimelineMark[], t: number): TimelineMark | undefined {
  let best: TimelineMark | undefined;
  for (const mark of marks) if (!best || Math.abs(mark.t - t) <= Math.abs(best.t - t)) best = mark;
  return best;
}

function nameOf({ kind, text }: TimelineMark): string {
  return kind === 'page' ? text : `Click on ${text || 'the page'}`;
}
