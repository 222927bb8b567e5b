import { useState } from 'preact/hooks';
import type { SiteCounts } from '../shell/answers.ts';
import { address } from '../shell/route.ts';
import { PagePath } from '../ui/page-path.tsx';
import { duration, numberText } from '../ui/text.ts';

type Row = SiteCounts['pages'][number];

interface Column {
  name: string;
  /** Sort key of a row. */
  value: (row: Row) => number | string;
  text: (row: Row) => string;
  /** Shown while the pointer rests on the text. */
  tooltip?: (row: Row) => string | undefined;
}

/** Average per view; 0 without views. */
export function perView(sum: number, { views }: { views: number }): number {
  return views === 0 ? 0 : sum / views;
}

/** The depth of the views in percent of their page's height. Undefined if no page height is known. */
export function depthPercent({ measuredDepth, measuredHeight }: Row): number | undefined {
  return measuredHeight === 0 ? undefined : Math.round((100 * measuredDepth) / measuredHeight);
}

function depthPixels(row: Row): string {
  return `${numberText(Math.round(perView(row.depth, row)))} px`;
}

const COLUMNS: readonly Column[] = [
  { name: 'Page', value: (row) => row.page, text: (row) => row.page },
  { name: 'Now', value: (row) => row.now, text: (row) => numberText(row.now) },
  { name: 'Views', value: (row) => row.views, text: (row) => numberText(row.views) },
  { name: 'Visits', value: (row) => row.visits, text: (row) => numberText(row.visits) },
  { name: 'Average time', value: (row) => perView(row.ms, row), text: (row) => duration(perView(row.ms, row)) },
  {
    name: 'Scroll depth',
    // Rows without a percentage come last, sorted by their pixels.
    value: (row) => depthPercent(row) ?? -1 / (1 + perView(row.depth, row)),
    text: (row) => {
      const percent = depthPercent(row);
      return percent === undefined ? depthPixels(row) : `${percent} %`;
    },
    tooltip: (row) => (depthPercent(row) === undefined ? undefined : `${depthPixels(row)} on average`),
  },
  { name: 'Clicks', value: (row) => row.clicks, text: (row) => numberText(row.clicks) },
];

/** The first click on a heading sorts names from A and numbers from the largest. */
interface Order {
  column: number;
  isUp: boolean;
}

export interface PageTableProps {
  site: string;
  rows: readonly Row[];
  /** Parameters of the period in the address. */
  period: Record<string, string | number | null>;
}

/** Counts of each page. A click on a heading sorts by its column. */
export function PageTable({ site, rows, period }: PageTableProps) {
  const [order, setOrder] = useState<Order>({ column: 2, isUp: false });
  const sortBy = (column: number) =>
    setOrder((before) => ({ column, isUp: before.column === column ? !before.isUp : column === 0 }));
  return (
    <div class="table-box">
      <table class="table">
        <thead>
          <tr>
            {COLUMNS.map(({ name }, i) => (
              <th
                key={name}
                scope="col"
                aria-sort={i !== order.column ? 'none' : order.isUp ? 'ascending' : 'descending'}
              >
                <button type="button" class="sort" onClick={() => sortBy(i)}>
                  {name}
                </button>
              </th>
            ))}
            <th scope="col">
              <span class="unseen">Links</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted(rows, order).map((row) => (
            <tr key={row.page} data-page={row.page}>
              {COLUMNS.map(({ name, text, tooltip }, i) => (
                <td key={name} data-label={name} class={i === 0 ? 'where' : 'count'} title={tooltip?.(row)}>
                  {i === 0 ? <PagePath path={row.page} /> : text(row)}
                </td>
              ))}
              <td class="links">
                <a href={address('/admin', { site, page: row.page })}>Live</a>
                <a href={address('/admin/heatmap', { site, page: row.page, ...period })}>Heatmap</a>
                <a href={address('/admin/visits', { site, page: row.page, ...period })}>Visits</a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function sorted(rows: readonly Row[], { column, isUp }: Order): Row[] {
  const { value } = COLUMNS[column] as Column;
  const sign = isUp ? 1 : -1;
  return [...rows].sort((a, b) => sign * compare(value(a), value(b)) || compare(a.page, b.page));
}

function compare(a: number | string, b: number | string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
