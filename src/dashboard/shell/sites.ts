/** The sites, and which of them is shown. */
import { batch, computed, signal } from '@preact/signals';
import { DASHBOARD_PAGES } from '../../model/dashboard-page.ts';
import type { Site } from '../../model/site.ts';
import type { ServerInfo } from './answers.ts';
import { api } from './api.ts';
import { address, go, query, route } from './route.ts';

export const sites = signal<readonly Site[]>([]);
/** Facts about the server; null until they are loaded. */
export const server = signal<ServerInfo | null>(null);

/** Key of the site in the address, by default of the first site; null if there are no sites. */
export const chosenSite = computed(() => {
  const wanted = query.value.get('site');
  return (sites.value.find(({ key }) => key === wanted) ?? sites.value[0])?.key ?? null;
});

/** Key of the site for links to other sections; null if there is only one. While the sites load, the address has it. */
export const linkedSite = computed(() => {
  if (server.value === null) return query.value.get('site');
  return sites.value.length > 1 ? chosenSite.value : null;
});

/** Loads the list of sites and the facts about the server. Throws ApiError. */
export async function loadSites(): Promise<void> {
  const [list, info] = await Promise.all([api.sites(), api.server()]);
  batch(() => {
    sites.value = list;
    server.value = info;
  });
}

/** Loads the list of sites again. Throws ApiError. */
export async function reloadSites(): Promise<void> {
  sites.value = await api.sites();
}

/** Shows another site in the section of the dashboard that is shown. */
export function showSite(key: string): void {
  const found = route.peek();
  const section = found && DASHBOARD_PAGES[found.name].section;
  go(address(DASHBOARD_PAGES[section ?? 'live'].path, { site: key }));
}
