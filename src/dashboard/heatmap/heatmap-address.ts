/** What the address of the heatmap page asks for. */
import { HEAT_KINDS, type HeatKind } from '../../model/heat.ts';
import { address, go, query } from '../shell/route.ts';
import { type Period, periodOf } from '../ui/period.ts';
import { type Width, widthClassIn } from '../ui/width-class.ts';

export const PRESET_DAYS = 30;

export interface HeatmapChoice {
  site: string;
  page: string | null;
  kind: HeatKind;
  /** null: all sizes; undefined: the size of the page's last visitor. */
  width: Width | null | undefined;
  period: Period;
}

/** Reads what an address asks for. */
export function choiceIn(site: string, query: URLSearchParams): HeatmapChoice {
  return {
    site,
    page: query.get('page'),
    kind: HEAT_KINDS.find((one) => one === query.get('kind')) ?? 'move',
    width: widthClassIn(query),
    period: periodOf(query, Date.now(), PRESET_DAYS),
  };
}

/** Changes values in the address. */
export function choose(values: Record<string, string | number | null | undefined>): void {
  go(address('/admin/heatmap', { ...Object.fromEntries(query.peek()), ...values }), true);
}
