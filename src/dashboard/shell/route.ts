/** Which of the dashboard's pages is shown. */
import { computed, effect, type ReadonlySignal, signal } from '@preact/signals';
import { findPage } from '../../model/dashboard-page.ts';
import { based, unbased } from './base.ts';
import { shape, text } from './readers.ts';
import { keepInTab, takeFromTab } from './stored-setting.ts';

const place = signal(location.href);

/** The page of the address; undefined if there is none. */
export const route = computed(() => findPage(unbased(new URL(place.value).pathname)));

/** Query parameters of the address: `site`, and what of it is shown. */
export const query = computed(() => new URL(place.value).searchParams);

/** Goes to an address of the dashboard. `replace` leaves no step back. */
export function go(address: string, replace = false): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', based(address));
  place.value = location.href;
}

/** Goes to the sign-in page, which leads back to the address that was asked for. */
export function goToSignIn(): void {
  const { pathname, search } = location;
  history.replaceState({ askedFor: pathname + search }, '', based('/admin/sign-in'));
  // A sign-in link that is opened in this tab makes another entry of the history.
  keepInTab(ASKED_FOR, pathname + search);
  place.value = location.href;
}

const ASKED_FOR = 'asked-for';
const askedFor = shape({ askedFor: text });

/** Goes where somebody wanted to be before signing in; by default to the live screen. */
export function goOnFromSignIn(): void {
  const inTab = takeFromTab(ASKED_FOR, text);
  const asked = askedFor(history.state)?.askedFor ?? inTab ?? '/admin';
  const url = URL.canParse(asked, location.origin) ? new URL(asked, location.origin) : undefined;
  const isGood = url?.origin === location.origin && isOurs(url.pathname);
  go(isGood ? url.pathname + url.search : '/admin', true);
}

function isOurs(path: string): boolean {
  return /^\/admin(\/|$)/.test(unbased(path));
}

/** An address of the dashboard; what is null or empty is left out. */
export function address(path: string, values: Record<string, string | number | null | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return search.size ? `${path}?${search}` : path;
}

/** Browsers refuse more than some 100 changes of the address in 30 s. */
const FOLLOW_MS = 1000;

/** Lets `put` write a time that goes on into the address, now and then. Returns how to end it. */
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

/** A time in an address, Unix ms; null for what is none. */
export function timeOf(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** Lets links within the dashboard change the page without loading it anew. */
export function startRoute(): void {
  addEventListener('popstate', () => {
    place.value = location.href;
  });
  document.addEventListener('click', (event) => {
    const link = (event.target as Element).closest('a');
    if (!link || link.origin !== location.origin || !isOurs(link.pathname) || link.target) return;
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.href);
  });
}
