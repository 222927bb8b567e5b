/** Which of the dashboard's pages is shown. */
import { computed, signal } from '@preact/signals';

export type Route =
  | { page: 'live' }
  | { page: 'settings' }
  | { page: 'sign-in' }
  | { page: 'link'; token: string }
  | { page: 'missing' };

const place = signal(location.href);

export const route = computed<Route>(() => read(new URL(place.value).pathname));

/** Query parameters of the address: `site` and `page` choose what the live screen shows. */
export const query = computed(() => new URL(place.value).searchParams);

/** Goes to an address of the dashboard. `replace` leaves no step back. */
export function go(address: string, replace = false): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  place.value = location.href;
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

function read(path: string): Route {
  const [, , first = '', token = ''] = path.replace(/\/$/, '').split('/');
  if (first === '') return { page: 'live' };
  if (first === 'settings' || first === 'sign-in') return { page: first };
  if (first === 'link' && token) return { page: 'link', token };
  return { page: 'missing' };
}
