import type { ComponentType } from 'preact';
import type { DashboardPageName, FoundPage, PageParameters } from '../../model/dashboard-page.ts';
import { AuditPage } from '../audit/audit-page.tsx';
import { CountsPage } from '../counts/counts-page.tsx';
import { HeatmapPage } from '../heatmap/heatmap-page.tsx';
import { LivePage } from '../live/live-page.tsx';
import { VisitPage } from '../replay/visit-page.tsx';
import { SettingsPage } from '../settings/settings-page.tsx';
import { LinkPage } from '../sign-in/link-page.tsx';
import { SignInPage } from '../sign-in/sign-in-page.tsx';
import { VisitsPage } from '../visits/visits-page.tsx';

/** The component of each page. Its properties are the parameters of the page's path. */
const VIEWS: { readonly [Name in DashboardPageName]: ComponentType<PageParameters<Name>> } = {
  live: LivePage,
  visits: VisitsPage,
  visit: VisitPage,
  pages: CountsPage,
  heatmap: HeatmapPage,
  settings: SettingsPage,
  audit: AuditPage,
  'sign-in': SignInPage,
  link: LinkPage,
};

/** Draws a page. */
export function viewOf({ name, parameters }: FoundPage) {
  const View = VIEWS[name] as ComponentType<Record<string, string>>;
  return <View {...parameters} />;
}
