import { useCallback, useEffect } from 'preact/hooks';
import type { SiteCounts } from '../shell/answers.ts';
import { api } from '../shell/api.ts';
import { address, go, query } from '../shell/route.ts';
import { chosenSite, server, sites } from '../shell/sites.ts';
import { Failed } from '../ui/failed.tsx';
import { NoSites } from '../ui/no-sites.tsx';
import { type Period, periodOf } from '../ui/period.ts';
import { PeriodChooser } from '../ui/period-chooser.tsx';
import { PasteSnippet } from '../ui/snippet.tsx';
import { countText } from '../ui/text.ts';
import { useLoaded } from '../ui/use-loaded.ts';
import { csvOf, saveFile } from './csv-file.ts';
import { DayBars } from './day-bars.tsx';
import { depthPercent, PageTable, perView } from './page-table.tsx';

const PRESET_DAYS = 30;
/** The counts are reloaded at this interval to update the current visitors, milliseconds. */
const RELOAD_MS = 10_000;

/** Counts of each page over a period. */
export function CountsPage() {
  useEffect(() => {
    document.title = 'Pages · Fieldmouse';
  }, []);
  const site = chosenSite.value;
  if (site !== null) return <Counts site={site} period={periodOf(query.value, Date.now(), PRESET_DAYS)} />;
  return server.value && sites.value.length === 0 ? <NoSites /> : <p class="waiting">Loading…</p>;
}

function Counts({ site, period }: { site: string; period: Period }) {
  const { from, to, days } = period;
  const { value, problem, isFresh, again } = useLoaded(
    useCallback(() => api.counts({ site, from, to }), [site, from, to]),
    `${site} ${from} ${to}`,
  );
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) again();
    }, RELOAD_MS);
    return () => clearInterval(timer);
  }, [again]);
  const choose = (values: Record<string, string | number | undefined>) =>
    go(address('/admin/pages', { site: query.peek().get('site'), ...values }), true);
  return (
    <main class="counts" aria-busy={!isFresh && !problem}>
      <div class="bar">
        <h1>Pages</h1>
        <PeriodChooser period={period} choose={choose} />
        <span class="gap" />
        {value && value.pages.length > 0 && (
          <button type="button" onClick={() => saveFile(`${site}-pages-${from}-${to}.csv`, csvOf(tableOf(value)))}>
            Download CSV
          </button>
        )}
      </div>
      {problem && <Failed {...{ problem, again }} />}
      {!problem && !value && <p class="waiting">Loading…</p>}
      {!problem && value && value.pages.length === 0 && <NoPages site={site} isAll={days === PRESET_DAYS} />}
      {!problem && value && value.pages.length > 0 && (
        <>
          <DayBars days={value.days} from={from} to={to} />
          <section class="card" aria-label="Pages">
            <div class="bar">
              <h2>{countText(value.pages.length, 'page')}</h2>
              <span class="muted">average time and scroll depth per view</span>
            </div>
            <PageTable site={site} rows={value.pages} period={days === null ? { from, to } : { days: days ?? null }} />
          </section>
        </>
      )}
    </main>
  );
}

function NoPages({ site, isAll }: { site: string; isAll: boolean }) {
  return (
    <section class="card nothing">
      <div class="mice" aria-hidden="true" />
      <h3>No page views in this period</h3>
      {isAll && <PasteSnippet site={site}>To count views of your pages, paste</PasteSnippet>}
    </section>
  );
}

/** The rows of the table as CSV fields, the heading first. Times are in seconds. */
export function tableOf({ pages }: SiteCounts): (string | number)[][] {
  const head = [
    'page',
    'now',
    'views',
    'visits',
    'average_seconds',
    'average_depth_percent',
    'average_depth_px',
    'clicks',
    'moves',
  ];
  const rows = pages.map((row) => [
    row.page,
    row.now,
    row.views,
    row.visits,
    Math.round(perView(row.ms, row) / 100) / 10,
    depthPercent(row) ?? '',
    Math.round(perView(row.depth, row)),
    row.clicks,
    row.moves,
  ]);
  return [head, ...rows];
}
