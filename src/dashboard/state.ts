/** What the screens share. Data from the stream goes to `crowd` at once; screens are told at most four times a second. */
import { batch, effect, signal, untracked } from '@preact/signals';
import type { Site } from '../protocol/site.ts';
import { ApiError, api, type ServerInfo, type Session } from './api.ts';
import { Crowd, type StreamEvent } from './crowd.ts';
import { go, query, route } from './route.ts';
import { type Link, Stream } from './stream.ts';

/** Who is signed in; null: nobody; undefined: not asked yet. */
export const session = signal<Session | null | undefined>(undefined);
/** The session has ended without having been asked to: expired, or revoked from elsewhere. */
export const ended = signal(false);
export const sites = signal<readonly Site[]>([]);
export const server = signal<ServerInfo | null>(null);

export const crowd = new Crowd();
/** Counts changes of the crowd. */
export const beat = signal(0);
/** Counts the server's seconds: activity graphs and the curve move with them. */
export const second = signal(0);
export const link = signal<Link>({ state: 'connecting' });
/** Key of the site shown. */
export const site = signal<string | null>(null);
/** The page on stage. */
export const stage = signal<string | null>(null);
/** Id of the visitor followed. */
export const followed = signal<string | null>(null);

/** What was done unasked, in words; empty when there is nothing to tell. */
export const news = signal('');

const BEAT_MS = 250;
/** A browser has six connections for all tabs of a host: one that nobody sees gives its own up after so long. */
const UNSEEN_MS = 30_000;

/** Gets every event that concerns pictures in motion, at once. */
export const motion = new Set<(event: StreamEvent) => void>();

const stream = new Stream({
  event(event) {
    crowd.apply(event, performance.now());
    if (event.name === 'moves' || event.name === 'click' || event.name === 'scroll')
      for (const listener of motion) listener(event);
    else plan();
    if (event.name === 'rates') second.value += 1;
  },
  link(value) {
    link.value = value;
    if (value.state === 'signed-out') leave(true);
    // Perhaps the site was removed; then the list without it leads to another one.
    if (value.state === 'lost' && value.refused) reloadSites().catch(() => undefined);
  },
});

let planned: ReturnType<typeof setTimeout> | undefined;

/** Tells the screens within a beat. */
function plan(): void {
  if (planned !== undefined) return;
  planned = setTimeout(() => {
    planned = undefined;
    batch(() => {
      beat.value += 1;
      chooseStage();
    });
  }, BEAT_MS);
}

/** Finds out who is signed in. Throws ApiError when the server does not answer. */
export async function loadSession(): Promise<void> {
  try {
    enter(await api.session());
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    session.value = null;
  }
}

/** To call with the session that a sign-in gave. */
export function enter(value: Session): void {
  batch(() => {
    session.value = value;
    ended.value = false;
  });
}

/** To call when the session is over; `unasked` when it was not the person who ended it. */
export function leave(unasked: boolean): void {
  stream.close();
  crowd.clear();
  batch(() => {
    session.value = null;
    ended.value = unasked;
    site.value = null;
    stage.value = null;
    followed.value = null;
  });
}

/** Loads the list of sites and what the server is. Throws ApiError. */
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

/** Keeps the stream of the site in the address open while the live screen is shown. Returns how to end it. */
export function watchSite(): () => void {
  const end = effect(() => {
    const keys = sites.value.map((one) => one.key);
    const wanted = query.value.get('site');
    const key = wanted !== null && keys.includes(wanted) ? wanted : (keys[0] ?? null);
    if (route.value.page !== 'live' || server.value === null) return;
    const gone = [wanted, site.peek()].find((one) => one !== null && !keys.includes(one));
    untracked(() => {
      if (gone) tellGone(gone, key);
      if (key !== site.peek()) turnTo(key);
    });
  });
  const endPauses = pauseUnseen();
  return () => {
    end();
    endPauses();
    stream.close();
    site.value = null;
  };
}

/** Says that a site is no more, and corrects the address. */
function tellGone(gone: string, next: string | null): void {
  news.value = site.peek() === gone ? `Site ${gone} was removed.` : `There is no site ${gone}.`;
  go(next === null ? '/admin' : `/admin?${new URLSearchParams({ site: next })}`, true);
}

/** Pauses the stream while the tab is in the background for long. Returns how to end it. */
function pauseUnseen(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => stream.pause(), UNSEEN_MS);
    else stream.resume();
  };
  document.addEventListener('visibilitychange', look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', look);
  };
}

function turnTo(key: string | null): void {
  crowd.clear();
  batch(() => {
    site.value = key;
    followed.value = null;
    stage.value = query.peek().get('page');
    beat.value += 1;
  });
  if (key === null) stream.close();
  else stream.open({ site: key, stage: stage.peek() });
}

export function retryNow(): void {
  stream.retry();
}

/** Shows a site's live screen. */
export function showSite(key: string): void {
  go(`/admin?${new URLSearchParams({ site: key })}`);
}

/** Puts a page on stage until another is chosen; null: the fullest page. The address remembers it. */
export function showPage(page: string | null): void {
  followed.value = null;
  const next = new URLSearchParams(query.peek());
  if (page === null) next.delete('page');
  else next.set('page', page);
  go(next.size ? `/admin?${next}` : '/admin', true);
  chooseStage();
}

/** Follows a visitor from page to page; null ends it, and a page chosen before is on stage again. */
export function follow(id: string | null): void {
  followed.value = id;
  chooseStage();
}

/** The followed visitor's page, else the chosen one, else the one on stage while somebody is there, else the fullest. */
function chooseStage(): void {
  const person = followed.peek() === null ? undefined : crowd.byId(followed.peek() as string);
  if (!person) followed.value = null;
  const pages = crowd.pages();
  const still = pages.find((one) => one.page === stage.peek());
  const page = person?.visitor.page ?? query.peek().get('page') ?? still?.page ?? pages[0]?.page ?? stage.peek();
  if (page === stage.peek()) return;
  stage.value = page;
  const key = site.peek();
  if (key !== null) stream.open({ site: key, stage: page });
}
