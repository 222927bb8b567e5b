/**
 * The pages of the dashboard. The server sends the dashboard for each path of this table, and the dashboard shows the
 * page of that name. To add a page, add an entry here and its component in dashboard/shell/views.tsx.
 */

/** A part of the dashboard that the header links to; it is also the name of the page that the link leads to. */
export type Section = 'live' | 'visits' | 'pages' | 'heatmap' | 'settings';

export interface DashboardPage {
  /** Path without the base path of the server. `:NAME` stands for a segment that is passed to the page. */
  path: string;
  /** The link of the header that is marked as current; null for pages that need no session and have no header. */
  section: Section | null;
  /** Whether the page shows one site, which is chosen in the header. */
  hasSite: boolean;
}

const TABLE = {
  live: { path: '/admin', section: 'live', hasSite: true },
  visits: { path: '/admin/visits', section: 'visits', hasSite: true },
  visit: { path: '/admin/visits/:id', section: 'visits', hasSite: true },
  pages: { path: '/admin/pages', section: 'pages', hasSite: true },
  heatmap: { path: '/admin/heatmap', section: 'heatmap', hasSite: true },
  settings: { path: '/admin/settings', section: 'settings', hasSite: false },
  audit: { path: '/admin/audit', section: 'settings', hasSite: false },
  'sign-in': { path: '/admin/sign-in', section: null, hasSite: false },
  link: { path: '/admin/link/:token', section: null, hasSite: false },
} as const satisfies Record<string, DashboardPage>;

export type DashboardPageName = keyof typeof TABLE;

export const DASHBOARD_PAGES: Readonly<Record<DashboardPageName, DashboardPage>> = TABLE;

/** `{ id: string }` for the page `visit`, whose path ends in `:id`. */
export type PageParameters<Name extends DashboardPageName> = ParametersOf<(typeof TABLE)[Name]['path']>;

type ParametersOf<Path extends string> = Path extends `${string}:${infer Part}/${infer Rest}`
  ? Record<Part, string> & ParametersOf<Rest>
  : Path extends `${string}:${infer Part}`
    ? Record<Part, string>
    : Record<never, string>;

export interface FoundPage {
  name: DashboardPageName;
  /** Segments of the path by their name, as they are in the address. */
  parameters: Record<string, string>;
}

const PATTERNS = Object.entries(DASHBOARD_PAGES).map(([name, { path }]) => ({
  name: name as DashboardPageName,
  pattern: new RegExp(`^${path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}/?$`),
}));

/** The page at a path (with or without a slash at its end), or undefined if there is none. */
export function findPage(path: string): FoundPage | undefined {
  for (const { name, pattern } of PATTERNS) {
    const match = pattern.exec(path);
    if (match) return { name, parameters: { ...match.groups } };
  }
  return undefined;
}
