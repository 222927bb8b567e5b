import type uPlot from 'uplot';
import { Plot } from '../ui/plot.tsx';
import { countText, shortClock } from '../ui/text.ts';
import { liveState, second, version } from './live-signals.ts';

/** Visitors per minute in the last hour, as a chart and as text. */
export function Curve() {
  second.value;
  const [, counts] = liveState.minutes.rows(liveState.time, liveState.people.size);
  return (
    <>
      <Plot rows={rows} style="line" name={hour} tip={tip} />
      <p class="unseen">
        Peak in the last 60 minutes: {countText(Math.max(...counts.map(Number)), 'visitor')} at once.
      </p>
    </>
  );
}

function rows(): uPlot.AlignedData {
  second.value;
  version.value;
  return liveState.minutes.rows(liveState.time, liveState.people.size);
}

function hour(seconds: number): string {
  return shortClock(seconds * 1000);
}

function tip(seconds: number, visitors: number): string {
  return `${hour(seconds)}: ${countText(visitors, 'visitor')}`;
}
