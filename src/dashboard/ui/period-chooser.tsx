import { PERIODS, type Period, periodStart } from './period.ts';

export interface PeriodChooserProps {
  period: Period;
  /** Called with the parameters of the period in the address. */
  choose: (values: { days?: number | undefined; from?: string; to?: string }) => void;
  /** Adds the option "Any time", for everything that is stored. */
  all?: true;
}

/** Chooses today, the last days, or a range of days. */
export function PeriodChooser({ period: { days, from, to }, choose, all }: PeriodChooserProps) {
  const pick = (value: string) => {
    if (value === 'all') choose({});
    else if (value === 'custom') choose({ from, to });
    else choose({ days: Number(value) });
  };
  const setRange = (first: string, last: string) => {
    if (periodStart(first) <= periodStart(last)) choose({ from: first, to: last });
  };
  return (
    <>
      <select
        aria-label="Period"
        class="filter"
        title="Days are in UTC"
        value={days === null ? 'custom' : (days ?? 'all')}
        onChange={(event) => pick(event.currentTarget.value)}
      >
        {all && <option value="all">Any time</option>}
        {PERIODS.map((one) => (
          <option key={one} value={one}>
            {one === 1 ? 'Today' : `Last ${one} days`}
          </option>
        ))}
        <option value="custom">Custom range</option>
      </select>
      {days === null && (
        <>
          <DayField label="From" value={from} max={to} change={(day) => setRange(day, to)} />
          <DayField label="To" value={to} min={from} change={(day) => setRange(from, day)} />
        </>
      )}
    </>
  );
}

interface DayFieldProps {
  label: string;
  value: string;
  min?: string;
  max?: string;
  change: (day: string) => void;
}

function DayField({ label, change, ...rest }: DayFieldProps) {
  return (
    <input
      type="date"
      class="filter"
      title="Day in UTC"
      aria-label={label}
      {...rest}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}
