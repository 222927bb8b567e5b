import { useCallback, useState } from 'preact/hooks';
import { MINUTE_MS } from '../../model/minute.ts';
import type { Visit } from '../../model/visit.ts';
import { rewindTo } from '../live/live-address.ts';
import { liveState, site } from '../live/live-signals.ts';
import { api } from '../shell/api.ts';
import { countText, shortClock } from '../ui/text.ts';
import { TimeSlider } from '../ui/time-slider.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { presenceOf } from './presence-curve.ts';
import type { Rewind } from './rewind.ts';

const DAY_MS = 24 * 60 * MINUTE_MS;
/** Maximum number of requests for the visits of a day, newest first, and the number of visits in each. */
const MAX_PARTS = 10;
const PART_SIZE = 200;
/** Visits that started up to this long before the day are loaded too, because they may reach into it. */
const LOOKBACK_MS = 60 * MINUTE_MS;

interface Day {
  from: number;
  to: number;
}

/**
 * Chooses a moment of a day: of the past 24 hours, or of the 24 hours around an older moment. Its curve shows when
 * there were visitors.
 */
export function DayLine({ rewind }: { rewind: Rewind }) {
  const at = rewind.playback.at.value;
  const [loaded, setLoaded] = useState(() => dayAround(at));
  const day = loaded.from <= at && at <= loaded.to + MINUTE_MS ? loaded : dayAround(at);
  if (day !== loaded) setLoaded(day);
  const { from, to } = day;
  const key = site.value;
  const { value } = useLoaded(
    useCallback(() => visitsOf(key, from, to), [key, from, to]),
    key && `${key} ${from}`,
  );
  const counts = value && presenceOf(value.visits, from, to);
  const since = value ? Math.max(from, value.since) : to;
  const hours = Array.from({ length: 9 }, (_, i) => from + (i * (to - from)) / 8);
  return (
    <div class="day">
      <TimeSlider
        label="Time of day"
        step={MINUTE_MS}
        pageStep={60 * MINUTE_MS}
        text={(t) => moment(t)}
        tip={(t) => tipAt(t, from, counts, since)}
        seek={rewindTo}
        {...{ from, to, at }}
      >
        <DayCurve counts={counts ?? []} />
        {since > from && value && (
          <span class="time-quiet" style={{ left: 0, width: `${(100 * (since - from)) / (to - from)}%` }} />
        )}
      </TimeSlider>
      <div class="hours muted" aria-hidden="true">
        {hours.map((t) => (
          <span key={t}>{shortClock(t)}</span>
        ))}
      </div>
    </div>
  );
}

/** The day for a moment. It starts and ends at a whole minute; `at` is in it or less than a minute after its end. */
function dayAround(at: number): Day {
  const now = Math.ceil(liveState.clockOffset + Date.now());
  const to = at >= now - DAY_MS ? Math.max(at, now) : at + DAY_MS / 2;
  const end = Math.floor(to / MINUTE_MS) * MINUTE_MS;
  return { from: end - DAY_MS, to: end };
}

/** The newest visits from `from` to `to`. The list is complete from `since` on. Times are Unix ms. */
async function visitsOf(site: string | null, from: number, to: number): Promise<{ visits: Visit[]; since: number }> {
  const visits: Visit[] = [];
  let after: string | null = null;
  for (let part = 0; part < MAX_PARTS; part++) {
    const answer = await api.visits({ site, from: Math.max(0, from - LOOKBACK_MS), to, after, limit: PART_SIZE });
    visits.push(...answer.visits);
    after = answer.next;
    if (after === null) return { visits, since: from };
  }
  return { visits, since: visits.at(-1)?.since ?? from };
}

function tipAt(t: number, from: number, counts: readonly number[] | undefined, since: number): string {
  const count = t >= since ? counts?.[Math.floor((t - from) / MINUTE_MS)] : undefined;
  return count === undefined ? moment(t) : `${moment(t)} · ${countText(count, 'visitor')}`;
}

function moment(t: number): string {
  return shortClock(t);
}

/**
 * The curve has one step per minute, each one unit wide. Its height is the square root of the count, so that a single
 * visitor stays visible beside a peak.
 */
function DayCurve({ counts }: { counts: readonly number[] }) {
  const maxCount = Math.max(1, ...counts);
  const steps = counts.map((count, i) => `V${(100 - 90 * Math.sqrt(count / maxCount)).toFixed(1)}H${i + 1}`).join('');
  return (
    <svg
      class="day-curve"
      viewBox={`0 0 ${Math.max(1, counts.length)} 100`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {counts.length > 0 && <path d={`M0 100${steps}V100Z`} />}
    </svg>
  );
}
