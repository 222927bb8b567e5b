import { cutMiddle, readablePath } from './text.ts';

export interface PageSelectProps {
  pages: readonly string[];
  /** The chosen page; null if none is chosen. */
  page: string | null;
  choose: (page: string | null) => void;
  /** Text of the option that chooses none; without it, the option is left out. */
  none?: string;
}

/** Maximum length of an option, characters: a select is as wide as its longest option. */
const MAX_CHARACTERS = 60;

/** A page's path as the text of an option. */
export function optionText(page: string): string {
  return cutMiddle(readablePath(page), MAX_CHARACTERS);
}

/** Maximum number of options: a longer list is of no use. */
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
