import { useCallback } from 'preact/hooks';
import { DAY_MS } from '../../model/day.ts';
import { api } from '../shell/api.ts';
import { address, go, query } from '../shell/route.ts';
import { PageSelect } from '../ui/page-select.tsx';
import { type Period, periodStart } from '../ui/period.ts';
import { PeriodChooser } from '../ui/period-chooser.tsx';
import { allCountries, countryName, DEVICE } from '../ui/text.ts';
import { useLoaded } from '../ui/use-loaded.ts';
import type { VisitFilter } from './use-visits.ts';

const DEVICES = ['phone', 'tablet', 'desktop', 'wide', 'unknown'] as const;
/** Value in the address, text of the option, and parameters of the API. */
const LENGTHS = [
  ['over-10', 'Over 10 s', { longer: 10_000 }],
  ['over-60', 'Over 1 min', { longer: 60_000 }],
  ['over-300', 'Over 5 min', { longer: 300_000 }],
  ['under-10', 'Under 10 s', { shorter: 10_000 }],
] as const;
const CLICKS = [
  ['true', 'With clicks'],
  ['false', 'Without clicks'],
] as const;
const COUNTRIES = allCountries();
const NAMES = ['page', 'days', 'from', 'to', 'device', 'country', 'length', 'clicked'] as const;

/** True if the address has a filter. */
export function isFiltered(query: URLSearchParams): boolean {
  return NAMES.some((name) => query.has(name));
}

/** The filter in the address, as parameters of the API. Invalid values are left out. */
export function filterOf(site: string, period: Period, query: URLSearchParams): VisitFilter {
  const { days, from, to } = period;
  return {
    site,
    page: query.get('page'),
    ...(days !== undefined && { from: periodStart(from), to: periodStart(to) + DAY_MS }),
    device: DEVICES.find((one) => one === query.get('device')),
    country: countryIn(query),
    ...LENGTHS.find(([name]) => name === query.get('length'))?.[2],
    clicked: CLICKS.find(([name]) => name === query.get('clicked'))?.[0],
  };
}

/** The country code in the address; null if there is none. It need not be the code of a real country. */
function countryIn(query: URLSearchParams): string | null {
  const country = query.get('country')?.toUpperCase() ?? '';
  return /^[A-Z]{2}$/.test(country) ? country : null;
}

/** The known countries, and the one in the address. */
function countriesWith(code: string | null): typeof COUNTRIES {
  if (code === null || COUNTRIES.some(([known]) => known === code)) return COUNTRIES;
  return [...COUNTRIES, [code, countryName(code)]];
}

/** Changes filters in the address. The value null removes a filter. */
function choose(values: Record<string, string | number | null | undefined>): void {
  go(address('/admin/visits', { ...Object.fromEntries(query.peek()), ...values }), true);
}

export function clearFilters(): void {
  choose(Object.fromEntries(NAMES.map((name) => [name, null])));
}

export function Filters({ site, period }: { site: string; period: Period }) {
  const { value } = useLoaded(
    useCallback(() => api.counts({ site }), [site]),
    site,
  );
  const chosen = query.value;
  const country = countryIn(chosen);
  return (
    <div class="bar filters">
      <PageSelect
        none="Any page"
        pages={value?.pages.map((one) => one.page) ?? []}
        page={chosen.get('page')}
        choose={(page) => choose({ page })}
      />
      <PeriodChooser all period={period} choose={(values) => choose({ days: null, from: null, to: null, ...values })} />
      <Options label="Device" name="device" none="Any device" options={DEVICES.map((one) => [one, DEVICE[one]])} />
      <Options label="Duration" name="length" none="Any duration" options={LENGTHS} />
      <Options label="Clicks" name="clicked" none="With or without clicks" options={CLICKS} />
      <Options
        label="Country"
        name="country"
        none="Any country"
        options={countriesWith(country)}
        value={country ?? ''}
      />
      {isFiltered(chosen) && (
        <button type="button" class="small" onClick={clearFilters}>
          Clear filters
        </button>
      )}
    </div>
  );
}

interface OptionsProps {
  label: string;
  /** Parameter in the address. */
  name: string;
  /** Text of the option that chooses none. */
  none: string;
  options: readonly (readonly [value: string, text: string, ...rest: unknown[]])[];
  /** The chosen value, if it differs from the parameter in the address. */
  value?: string;
}

function Options({ label, name, none, options, value = query.value.get(name) ?? '' }: OptionsProps) {
  return (
    <select
      class="filter"
      aria-label={label}
      value={options.some(([known]) => known === value) ? value : ''}
      onChange={(event) => choose({ [name]: event.currentTarget.value })}
    >
      <option value="">{none}</option>
      {options.map(([known, text]) => (
        <option key={known} value={known}>
          {text}
        </option>
      ))}
    </select>
  );
}
