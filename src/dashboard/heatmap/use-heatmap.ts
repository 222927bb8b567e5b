import { useCallback } from 'preact/hooks';
import type { Visit } from '../../model/visit.ts';
import { api } from '../shell/api.ts';
import { address } from '../shell/route.ts';
import { useLoaded } from '../ui/use-loaded.ts';
import { WIDTHS, type Width } from '../ui/width-class.ts';
import type { HeatmapChoice } from './heatmap-address.ts';
import { lastVisit } from './last-visit.ts';

/** Loads the pages of a site, then the last visit of the chosen page, then its heatmap. */
export function useHeatmap(choice: HeatmapChoice) {
  const { site, period, kind } = choice;
  const { from, to } = period;
  const counts = useLoaded(
    useCallback(() => api.counts({ site, from, to }), [site, from, to]),
    `${site} ${from} ${to}`,
  );
  const pages = counts.value?.pages.map((one) => one.page) ?? [];
  const page = choice.page ?? pages[0] ?? null;
  const last = useLoaded(
    useCallback(() => lastVisit(site, page ?? ''), [site, page]),
    page === null ? null : `${site} ${page}`,
  );
  const width = choice.width !== undefined ? choice.width : widthOf(last.value);
  const isKnown = page !== null && (choice.width !== undefined || last.isFresh);
  const requested = { site, page, from, to, kind, width };
  const of = address('', requested);
  const heat = useLoaded(
    useCallback(() => api.heat(requested), [of]),
    isKnown ? of : null,
  );
  return {
    pages,
    page,
    width,
    /** Origin of the page, from its last visit; empty until that is loaded. */
    origin: last.value?.origin ?? '',
    /** The parameters of the request. */
    asked: requested,
    /** Differs for each heatmap. */
    key: of,
    /** The heatmap; undefined while it is loading. */
    heat: heat.isFresh ? heat.value : undefined,
    /** True if the site had no page views in the period. */
    isWithoutPages: counts.isFresh && page === null,
    problem: heat.problem ?? counts.problem ?? last.problem,
    /** Repeats the failed requests. */
    again: () => {
      for (const one of [counts, last, heat]) if (one.problem) one.again();
    },
  };
}

function widthOf(visit: Visit | undefined): Width | null {
  return WIDTHS.find((one) => one === visit?.device) ?? null;
}
