import type { Person } from '../crowd.ts';

/** The real page on stage, to be shown in a frame. */
export interface PagePreview {
  url: string;
  /** It comes from this server, so that showing it tells nobody anything. */
  own: boolean;
}

/**
 * Where the page on stage can be loaded from: the origin that a visitor there is on, the followed one first.
 * Origin and page come from visitors, so both are checked: the address must be of that origin still.
 */
export function previewOf(people: Iterable<Person>, page: string | null, leader?: Person): PagePreview | undefined {
  if (page === null) return undefined;
  const origin = leader?.visitor.origin || originOn(people, page);
  const url = origin && URL.canParse(page, origin) ? new URL(page, origin) : undefined;
  if (!url || url.origin !== origin || !/^https?:$/.test(url.protocol)) return undefined;
  return { url: url.href, own: origin === location.origin };
}

function originOn(people: Iterable<Person>, page: string): string {
  for (const { visitor } of people) if (visitor.page === page && visitor.origin) return visitor.origin;
  return '';
}
