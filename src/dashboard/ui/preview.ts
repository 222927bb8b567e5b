import type { LiveVisitor } from '../live/live-state.ts';

/** The real page on stage, which can be shown in a frame. */
export interface PagePreview {
  url: string;
  origin: string;
  /** True if it has the dashboard's own origin. Then no other server learns that it is shown. */
  own: boolean;
}

/**
 * Preview of the page on stage, from the origin of the followed visitor, or else of another visitor of the page. `home`
 * is the dashboard's own origin. Returns undefined if there is no valid address.
 */
export function previewOf(
  people: Iterable<LiveVisitor>,
  page: string | null,
  home: string,
  leader?: LiveVisitor,
): PagePreview | undefined {
  return page === null ? undefined : previewAt(leader?.visitor.origin || originOn(people, page), page, home);
}

/**
 * Preview of a page of an origin. Both come from visitors, so they are checked: the resolved address must have this
 * origin.
 */
export function previewAt(origin: string, page: string, home: string): PagePreview | undefined {
  const url = origin && URL.canParse(page, origin) ? new URL(page, origin) : undefined;
  if (!url || url.origin !== origin || !/^https?:$/.test(url.protocol)) return undefined;
  return { url: url.href, origin, own: origin === home };
}

function originOn(people: Iterable<LiveVisitor>, page: string): string {
  for (const { visitor } of people) if (visitor.page === page && visitor.origin) return visitor.origin;
  return '';
}
