import { useCallback, useEffect, useState } from 'preact/hooks';
import { HEAT_KINDS, type Heat, type HeatKind } from '../../model/heat.ts';
import type { Visit } from '../../model/visit.ts';
import { api } from '../shell/api.ts';
import { type ValueReader, within } from '../shell/readers.ts';
import { address, go, query } from '../shell/route.ts';
import { chosenSite, server, sites } from '../shell/sites.ts';
import { storedSetting, storeSetting } from '../shell/stored-setting.ts';
import { Choice } from '../ui/choice.tsx';
import { Failed } from '../ui/failed.tsx';
import { NoSites } from '../ui/no-sites.tsx';
import { PageSelect } from '../ui/page-select.tsx';
import { type Period, periodOf } from '../ui/period.ts';
import { PeriodChooser } from '../ui/period-chooser.tsx';
import { previewAt } from '../ui/preview.ts';
import { PreviewNote } from '../ui/preview-note.tsx';
import { PreviewSwitch } from '../ui/preview-switch.tsx';
import { countText, DEVICE, numberText } from '../ui/text.ts';
import { useLoaded } from '../ui/use-loaded.ts';
import { usePreview } from '../ui/use-preview.ts';
import { WIDTHS, type Width, widthClassIn } from '../ui/width-class.ts';
import { WidthSelect } from '../ui/width-select.tsx';
import { foldsOf, whoSaw } from './cells.ts';
import { Elements } from './elements.tsx';
import { HeatStage } from './heat-stage.tsx';

const KINDS = [
  ['move', 'Moves'],
  ['click', 'Clicks'],
  ['scroll', 'Scroll depth'],
] as const satisfies [HeatKind, string][];
const PRESET_DAYS = 30;
const OPACITY: Record<HeatKind, number> = { move: 0.85, click: 0.85, scroll: 0.55 };
/** Page pixels to a pixel of the picture: it is smooth, so that nothing is lost. */
const PICTURE_SCALE = 2;
/** Parts of the list of visits that are looked through for one on the page. */
const LOOKS = 5;

/** What the address asks for. */
interface Wanted {
  site: string;
  page: string | null;
  kind: HeatKind;
  /** null: of all; undefined: as the page's last visitor. */
  width: Width | null | undefined;
  period: Period;
}

/** Where the visitors of a page moved, clicked, and how deep they saw. */
export function HeatmapPage() {
  useEffect(() => {
    document.title = 'Heatmap · Fieldmouse';
  }, []);
  const site = chosenSite.value;
  if (site !== null) return <Heatmap wanted={wantedOf(site, query.value)} />;
  return server.value && sites.value.length === 0 ? <NoSites /> : <p class="waiting">Loading…</p>;
}

function wantedOf(site: string, query: URLSearchParams): Wanted {
  return {
    site,
    page: query.get('page'),
    kind: HEAT_KINDS.find((one) => one === query.get('kind')) ?? 'move',
    width: widthClassIn(query),
    period: periodOf(query, Date.now(), PRESET_DAYS),
  };
}

/** Puts another choice into the address. */
function choose(values: Record<string, string | number | null | undefined>): void {
  go(address('/admin/heatmap', { ...Object.fromEntries(query.peek()), ...values }), true);
}

function Heatmap({ wanted }: { wanted: Wanted }) {
  const { site, period, kind } = wanted;
  const { from, to } = period;
  const counts = useLoaded(
    useCallback(() => api.counts({ site, from, to }), [site, from, to]),
    `${site} ${from} ${to}`,
  );
  const pages = counts.value?.pages.map((one) => one.page) ?? [];
  const page = wanted.page ?? pages[0] ?? null;
  const last = useLoaded(
    useCallback(() => lastVisit(site, page ?? ''), [site, page]),
    page === null ? null : `${site} ${page}`,
  );
  const width = wanted.width !== undefined ? wanted.width : widthOf(last.value);
  const isKnown = page !== null && (wanted.width !== undefined || last.isFresh);
  const asked = { site, page, from, to, kind, width };
  const of = address('', asked);
  const heat = useLoaded(
    useCallback(() => api.heat(asked), [of]),
    isKnown ? of : null,
  );
  const preview = usePreview(page === null ? undefined : previewAt(last.value?.origin ?? '', page, location.origin));
  const [opacity, setOpacity] = useOpacity(kind);
  const problem = heat.problem ?? counts.problem ?? last.problem;
  const again = () => {
    for (const one of [counts, last, heat]) if (one.problem) one.again();
  };
  const ready = heat.isFresh ? heat.value : undefined;
  const elements = kind === 'click' && ready?.total ? ready.elements : undefined;
  return (
    <main class={elements ? 'heatmap listed' : 'heatmap'}>
      <h1 class="unseen">Heatmap</h1>
      <section class="card stage" aria-label="Heatmap of a page">
        <div class="bar">
          <PageSelect pages={pages} page={page} choose={(one) => choose({ page: one, width: null })} />
          <PeriodChooser period={period} choose={(values) => choose({ days: null, from: null, to: null, ...values })} />
          <Choice label="Heatmap type" options={KINDS} value={kind} choose={(one) => choose({ kind: one })} />
          <WidthSelect width={width} choose={(one) => choose({ width: one })} />
          <span class="gap" />
          {preview && <PreviewSwitch {...preview} />}
        </div>
        <div class="bar legend-bar">
          <Legend kind={kind} heat={ready} />
          <Figures kind={kind} heat={ready} />
          <span class="gap" />
          <Opacity value={opacity} change={setOpacity} />
        </div>
        <PreviewNote preview={preview} />
        <div class="stage-box" data-ready={ready !== undefined} aria-busy={!ready && !problem}>
          {problem && <Failed {...{ problem, again }} />}
          {!problem && counts.isFresh && page === null && <Nothing kind={kind} width={null} />}
          {!problem && !ready && (page !== null || !counts.isFresh) && <p class="waiting">Loading…</p>}
          {!problem && ready && ready.total === 0 && <Nothing kind={kind} width={width} />}
          {!problem && ready && ready.total > 0 && (
            <HeatStage
              key={of}
              heat={ready}
              url={preview?.url}
              picture={address('/v1/heatmap.png', { ...asked, scale: PICTURE_SCALE })}
              {...{ kind, opacity }}
            />
          )}
        </div>
      </section>
      {elements && <Elements elements={elements} total={ready?.total ?? 0} />}
    </main>
  );
}

/** The newest visit that was on a page; it tells where that is, and how wide windows are. */
async function lastVisit(site: string, page: string): Promise<Visit | undefined> {
  let after: string | null = null;
  for (let look = 0; look < LOOKS; look++) {
    const { visits, next }: { visits: Visit[]; next: string | null } = await api.visits({
      site,
      page,
      after,
      limit: 1,
    });
    if (visits[0] || next === null) return visits[0];
    after = next;
  }
  return undefined;
}

function widthOf(visit: Visit | undefined): Width | null {
  return WIDTHS.find((one) => one === visit?.device) ?? null;
}

/** A number from 0 to 1 as it is kept, in digits. */
const opacity: ValueReader<number> = (value) =>
  typeof value === 'string' && /^[01](\.\d+)?$/.test(value) ? within(0, 1)(Number(value)) : undefined;

/** Of each kind, since a scroll map covers all of the page; kept in this browser. */
function useOpacity(kind: HeatKind): [number, (value: number) => void] {
  const [, setRound] = useState(0);
  const key = `opacity.${kind}`;
  const change = (value: number) => {
    storeSetting(key, String(value));
    setRound((n) => n + 1);
  };
  return [storedSetting(key, opacity) ?? OPACITY[kind], change];
}

function Legend({ kind, heat }: { kind: HeatKind; heat: Heat | undefined }) {
  const [few, many] = kind === 'scroll' ? ['nobody', 'everybody'] : ['none', heat ? numberText(heat.most) : 'most'];
  return (
    <p class="legend">
      <span>{few}</span>
      <span class="palette" aria-hidden="true" />
      <span>{many}</span>
      {kind !== 'scroll' && <span class="muted">per square of 16 × 16 pixels</span>}
    </p>
  );
}

function Figures({ kind, heat }: { kind: HeatKind; heat: Heat | undefined }) {
  if (!heat) return null;
  return (
    <>
      <p class="figures" data-views={heat.views} data-total={heat.total}>
        {kind !== 'scroll' && `${countText(heat.total, kind)} in `}
        {countText(heat.views, 'view')}
      </p>
      {kind === 'scroll' && heat.total > 0 && <p class="muted depths">{depthsText(heat)}</p>}
    </>
  );
}

/** The lines of a scroll map in words: its first screen is of one colour, and the first of them may lie far below. */
function depthsText(heat: Heat): string {
  const depths = foldsOf(heat).map((fold) => `${whoSaw(fold)} down to ${numberText(fold.y)} pixels`);
  return `seen by ${depths.join(', by ')}`;
}

function Opacity({ value, change }: { value: number; change: (value: number) => void }) {
  return (
    <label class="switch">
      Opacity
      <input
        type="range"
        min={0}
        max={1}
        step={0.05}
        value={value}
        onInput={(event) => change(Number(event.currentTarget.value))}
      />
    </label>
  );
}

/** Nothing was recorded of what was asked; what else could be asked. */
function Nothing({ kind, width }: { kind: HeatKind; width: Width | null }) {
  const what = { move: 'No moves', click: 'No clicks', scroll: 'No views' }[kind];
  return (
    <div class="empty">
      <div class="mice" aria-hidden="true" />
      <h3>
        {what} {width ? `in ${DEVICE[width].toLowerCase()} windows` : ''} in this period
      </h3>
      <p class="muted">New activity appears here within a few seconds.</p>
      <div class="buttons">
        {width && (
          <button type="button" onClick={() => choose({ width: 'all' })}>
            Show all sizes
          </button>
        )}
        <button type="button" onClick={() => choose({ days: PRESET_DAYS, from: null, to: null })}>
          Show last {PRESET_DAYS} days
        </button>
      </div>
    </div>
  );
}
