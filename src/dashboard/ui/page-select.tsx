import { cutMiddle, readablePath } from './text.ts';

export interface PageSelectProps {
  pages: readonly string[];
  /** null: none is chosen. */
  page: string | null;
  choose: (page: string | null) => void;
  /** What choosing none is called, where that can be chosen. */
  none?: string;
}

/** A list is as wide as its longest text. */
const MAX_SIGNS = 60;

/** A page's path as an entry of a list. */
export function optionText(page: string): string {
  return cutMiddle(readablePath(page), MAX_SIGNS);
}

/** More is no help to choose from. */
const MAX = 200;

export function PageSelect({ pages, page, choose, none }: PageSelectProps) {
  const listed = pages.slice(0, MAX);
  const isMissing = page !== null && !listed.includes(page);
  return (
    <select
      aria-label="Page"
      class="page-chooser"
      data-page={page}
      value={page ?? ''}
      onChange={(event) => choose(event.currentTarget.value || null)}
    >
      {none !== undefined && <option value="">{none}</option>}
      {none === undefined && page === null && <option value="">No page</option>}
      {isMissing && <option value={page}>{optionText(page)}</option>}
      {listed.map((one) => (
        <option key={one} value={one}>
          {optionText(one)}
        </option>
      ))}
    </select>
  );
}
