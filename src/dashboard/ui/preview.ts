import type { LiveVisitor } from '../live/live-state.ts';

/** The real page on stage, to be shown in a frame. */
export interface PagePreview {
  url: string;
  origin: string;
  /** It is of the dashboard's own origin, so that showing it tells nobody anything. */
  own: boolean;
}

/**
 * Where the page on stage can be loaded from: the origin that a visitor there is on, the followed one first.
 * `home` is the dashboard's own origin.
 */
export function previewOf(
  people: Iterable<LiveVisitor>,
  page: string | null,
  home: string,
  leader?: LiveVisitor,
): PagePreview | undefined {
  return page === null ? undefined : previewAt(leader?.visitor.origin || originOn(people, page), page, home);
}

/** A page of an origin. Both come from visitors, so they are checked: the address must be of that origin still. */
export function previewAt(origin: string, page: string, home: string): PagePreview | undefined {
  const url = origin && URL.canParse(page, origin) ? new URL(page, origin) : undefined;
  if (!url || url.origin !== origin || !/^https?:$/.test(url.protocol)) return undefined;
  return { url: url.href, origin, own: origin === home };
}

function originOn(people: Iterable<LiveVisitor>, page: string): string {
  for (const { visitor } of people) if (visitor.page === page && visitor.origin) return visitor.origin;
  return '';
}
