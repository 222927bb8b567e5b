import { useMemo, useState } from 'preact/hooks';
import type uPlot from 'uplot';
import { DAY_MS } from '../../model/day.ts';
import type { DayCounts } from '../../model/visit.ts';
import { Choice } from '../ui/choice.tsx';
import { periodStart } from '../ui/period.ts';
import { Plot } from '../ui/plot.tsx';
import { countText, dayNameText, numberText } from '../ui/text.ts';

const SHOWN = [
  ['views', 'Views'],
  ['visits', 'Visits'],
  ['clicks', 'Clicks'],
] as const satisfies [keyof DayCounts, string][];
type Shown = (typeof SHOWN)[number][0];

/** Counts of each day of a period, as bars. */
export function DayBars({ days, from, to }: { days: readonly DayCounts[]; from: string; to: string }) {
  const [shown, show] = useState<Shown>('views');
  const rows = useMemo(() => {
    const data = dayRows(days, from, to, shown);
    return () => data;
  }, [days, from, to, shown]);
  const sum = days.reduce((all, day) => all + day[shown], 0);
  const tip = useMemo(() => tipOf(shown), [shown]);
  return (
    <section class="card days" aria-label="By day" data-sum={sum}>
      <div class="bar">
        <h2>By day</h2>
        <span class="muted">{countText(sum, shown.slice(0, -1))}, days in UTC</span>
        <span class="gap" />
        <Choice label="Metric" options={SHOWN} value={shown} choose={show} />
      </div>
      <Plot rows={rows} style="bars" name={nameOf} tip={tip} />
      <p class="unseen">
        {days.map((day) => `${nameOf(periodStart(day.day) / 1000)}: ${numberText(day[shown])}`).join('; ')}
      </p>
    </section>
  );
}

/** Maximum number of days that are drawn. The address may contain a period of ten thousand years. */
const MAX_DAYS = 3660;

/**
 * All days of the period, those without counts included. A period that is too long is cut to the days with counts, and
 * then to the last MAX_DAYS.
 */
export function dayRows(days: readonly DayCounts[], from: string, to: string, shown: Shown): uPlot.AlignedData {
  const counts = new Map(days.map((day) => [periodStart(day.day), day[shown]]));
  let [first, last] = [periodStart(from), periodStart(to)];
  if (last - first >= MAX_DAYS * DAY_MS) {
    last = Math.max(...counts.keys());
    first = Math.max(Math.min(...counts.keys()), last - MAX_DAYS * DAY_MS);
  }
  const times: number[] = [];
  for (let t = first; t <= last; t += DAY_MS) times.push(t);
  return [times.map((t) => t / 1000), times.map((t) => counts.get(t) ?? 0)];
}

function nameOf(seconds: number): string {
  return dayNameText(seconds * 1000);
}

function tipOf(shown: Shown): (seconds: number, n: number) => string {
  return (seconds, n) => `${nameOf(seconds)}: ${countText(n, shown.slice(0, -1))}`;
}
