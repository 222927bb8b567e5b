/** Which of the dashboard's pages is shown. */
import { computed, signal } from '@preact/signals';

export type Route =
  | { page: 'live' }
  | { page: 'visits' }
  | { page: 'visit'; id: string }
  | { page: 'pages' }
  | { page: 'heatmap' }
  | { page: 'settings' }
  | { page: 'audit' }
  | { page: 'sign-in' }
  | { page: 'link'; token: string }
  | { page: 'missing' };

const place = signal(location.href);

export const route = computed<Route>(() => read(new URL(place.value).pathname));

/** Query parameters of the address: `site`, and what of it is shown. */
export const query = computed(() => new URL(place.value).searchParams);

/** Goes to an address of the dashboard. `replace` leaves no step back. */
export function go(address: string, replace = false): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  place.value = location.href;
}

/** An address of the dashboard; what is null or empty is left out. */
export function address(path: string, values: Record<string, string | number | null | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return search.size ? `${path}?${search}` : path;
}

/** Lets links within the dashboard change the page without loading it anew. */
export function startRoute(): void {
  addEventListener('popstate', () => {
    place.value = location.href;
  });
  document.addEventListener('click', (event) => {
    const link = (event.target as Element).closest('a');
    if (!link || link.origin !== location.origin || !/^\/admin(\/|$)/.test(link.pathname) || link.target) return;
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.href);
  });
}

const PLAIN = ['pages', 'heatmap', 'settings', 'audit', 'sign-in'] as const;

function isPlain(name: string): name is (typeof PLAIN)[number] {
  return (PLAIN as readonly string[]).includes(name);
}

function read(path: string): Route {
  const [, , first = '', token = '', ...more] = path.replace(/\/$/, '').split('/');
  if (more.length > 0) return { page: 'missing' };
  if (first === '') return { page: 'live' };
  if (isPlain(first)) return { page: token ? 'missing' : first };
  if (first === 'visits') return token ? { page: 'visit', id: token } : { page: 'visits' };
  if (first === 'link' && token) return { page: 'link', token };
  return { page: 'missing' };
}
