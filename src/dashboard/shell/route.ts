/** The address of the dashboard, and the page that it names. */
import { computed, effect, type ReadonlySignal, signal } from '@preact/signals';
import { findPage } from '../../model/dashboard-page.ts';
import { based, unbased } from './base.ts';
import { objectOf, textValue } from './readers.ts';
import { storeInSession, takeFromSession } from './stored-setting.ts';

const href = signal(location.href);

/** The page of the address; undefined if there is none. */
export const route = computed(() => findPage(unbased(new URL(href.value).pathname)));

/** Query parameters of the address: the site, and what the page shows of it. */
export const query = computed(() => new URL(href.value).searchParams);

/** Goes to an address of the dashboard. `replace`: without a new entry in the history. */
export function go(address: string, replace = false): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', based(address));
  href.value = location.href;
}

/** Goes to the sign-in page, which later leads back to the current address. */
export function goToSignIn(): void {
  const { pathname, search } = location;
  history.replaceState({ askedFor: pathname + search }, '', based('/admin/sign-in'));
  // Stored in the tab, too: opening a sign-in link in this tab makes another history entry.
  storeInSession(ASKED_FOR, pathname + search);
  href.value = location.href;
}

const ASKED_FOR = 'asked-for';
const askedFor = objectOf({ askedFor: textValue });

/** After signing in, goes to the address that was opened first, by default to the live screen. */
export function leaveSignIn(): void {
  const inTab = takeFromSession(ASKED_FOR, textValue);
  const asked = askedFor(history.state)?.askedFor ?? inTab ?? '/admin';
  const url = URL.canParse(asked, location.origin) ? new URL(asked, location.origin) : undefined;
  const isGood = url?.origin === location.origin && isOurs(url.pathname);
  go(isGood ? url.pathname + url.search : '/admin', true);
}

function isOurs(path: string): boolean {
  return /^\/admin(\/|$)/.test(unbased(path));
}

/** An address of the dashboard. Null and empty values are left out. */
export function address(path: string, values: Record<string, string | number | null | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return search.size ? `${path}?${search}` : path;
}

/** Minimum time between two changes. Browsers allow about 100 changes of the address in 30 s. */
const FOLLOW_MS = 1000;

/** Calls `put` at intervals with a running time, to write it into the address. Returns a function that stops it. */
export function followTime(time: ReadonlySignal<number>, put: (time: number) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = effect(() => {
    time.value;
    timer ??= setTimeout(() => {
      timer = undefined;
      put(Math.floor(time.peek()));
    }, FOLLOW_MS);
  });
  return () => {
    end();
    clearTimeout(timer);
  };
}

/** Reads a time in an address, Unix ms; null if it is not a time. */
export function routeTime(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** Makes links within the dashboard change the page without a reload. */
export function startRoute(): void {
  addEventListener('popstate', () => {
    href.value = location.href;
  });
  document.addEventListener('click', (event) => {
    const link = (event.target as Element).closest('a');
    if (!link || link.origin !== location.origin || !isOurs(link.pathname) || link.target) return;
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.href);
  });
}
