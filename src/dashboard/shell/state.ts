/** What the screens share. Data from the stream goes to `crowd` at once; screens are told at most four times a second. */
import { batch, computed, effect, signal, untracked } from '@preact/signals';
import { DASHBOARD_PAGES } from '../../model/dashboard-page.ts';
import { may } from '../../model/rights.ts';
import type { Site } from '../../model/site.ts';
import { type LiveScene, LiveState, type Reported, type StreamEvent } from '../live/live-state.ts';
import { Stream, type StreamLink, type StreamQuery } from '../live/stream.ts';
import { Rewind } from '../rewind/rewind.ts';
import type { Width } from '../ui/width-class.ts';
import type { ServerInfo, Session } from './answers.ts';
import { ApiError, api } from './api.ts';
import { LIVE } from './clock.ts';
import { address, followTime, go, query, route, timeOf } from './route.ts';

/** Who is signed in; null: nobody; undefined: not asked yet. */
export const session = signal<Session | null | undefined>(undefined);
/** The session has ended without having been asked to: expired, or revoked from elsewhere. */
export const ended = signal(false);
/** The person may change things. */
export const isOwner = computed(() => session.value != null && may(session.value, 'manage'));
export const sites = signal<readonly Site[]>([]);
export const server = signal<ServerInfo | null>(null);

export const liveState = new LiveState();
/** Counts changes of the crowd. */
export const beat = signal(0);
/** Counts the server's seconds: activity graphs and the curve move with them. */
export const second = signal(0);
export const link = signal<StreamLink>({ state: 'connecting' });
/** Key of the site that the address names, else of the first; null while there is none. */
export const chosenSite = computed(() => {
  const wanted = query.value.get('site');
  return (sites.value.find(({ key }) => key === wanted) ?? sites.value[0])?.key ?? null;
});
/** Key of the site whose stream is open. */
export const site = signal<string | null>(null);
/** The page on stage. */
export const stage = signal<string | null>(null);
/** Id of the visitor followed. */
export const followed = signal<string | null>(null);

/** The past that is on the live screen; null while that is live. */
export const rewind = signal<Rewind | null>(null);

/** What was done unasked, in words; empty when there is nothing to tell. */
export const news = signal('');

const BEAT_MS = 250;
/** Seconds of the past may fly by; screens are told of so many at most, real milliseconds. */
const MIN_SECOND_MS = 200;
/** A browser has six connections for all tabs of a host: one that nobody sees gives its own up after so long. */
const UNSEEN_MS = 30_000;

export const scene: LiveScene = { liveState, motion: new Set() };

const stream = new Stream({
  event: take,
  link(value) {
    link.value = value;
    if (value.state === 'signed-out') leave(true);
    // Perhaps the site was removed; then the list without it leads to another one.
    if (value.state === 'lost' && value.refused) reloadSites().catch(() => undefined);
  },
});

const MOTION = new Set<StreamEvent['name']>(['moves', 'click', 'scroll']);
let toldSecond = 0;

/** Takes an event, from wherever it comes. */
function take(event: StreamEvent): void {
  liveState.apply(event, liveState.clock.now());
  if (MOTION.has(event.name) || event.name === 'snapshot') for (const tell of scene.motion) tell(event);
  if (!MOTION.has(event.name)) plan();
  if (event.name !== 'rates' || performance.now() < toldSecond + MIN_SECOND_MS) return;
  toldSecond = performance.now();
  second.value += 1;
}

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
  // The next person to sign in starts on the live screen, not on this person's page.
  if (!unasked) go('/admin', true);
  stream.close();
  endRewind();
  liveState.clear();
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
    const key = chosenSite.value;
    const at = timeOf(query.value.get('at'));
    if (route.value?.name !== 'live' || server.value === null) return;
    const gone = [wanted, site.peek()].find((one) => one !== null && !keys.includes(one));
    untracked(() => {
      if (gone) tellGone(gone, key);
      if (at !== null && at > serverNow()) return goTo(serverNow(), true);
      if (key !== site.peek() || (at === null) !== (rewind.peek() === null)) turnTo(key, at);
      else if (at !== null && at !== began) seek(at);
    });
  });
  const endPauses = pauseUnseen();
  return () => {
    end();
    endPauses();
    stream.close();
    endRewind();
    site.value = null;
  };
}

/** Says that a site is no more, and corrects the address. */
function tellGone(gone: string, next: string | null): void {
  news.value = site.peek() === gone ? `Site ${gone} was removed.` : `Site ${gone} does not exist.`;
  go(address('/admin', { site: next }), true);
}

/**
 * Pauses the stream while the tab is in the background for long, or left for another page: browsers keep left pages for
 * the way back, and their connections with them, of which they allow six to a host. Returns how to end it.
 */
function pauseUnseen(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => stream.pause(), UNSEEN_MS);
    else stream.resume();
  };
  const pause = () => stream.pause();
  document.addEventListener('visibilitychange', look);
  addEventListener('pagehide', pause);
  addEventListener('pageshow', look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', look);
    removeEventListener('pagehide', pause);
    removeEventListener('pageshow', look);
  };
}

/** What was told live of the site, before the rewind that is shown. */
let live: Reported | undefined;

/** Shows a site, live or (`at`, Unix ms) as it was. Of the same site, page and followed visitor stay. */
function turnTo(key: string | null, at: number | null): void {
  stream.close();
  if (rewind.peek() === null) live = liveState.leaveOff();
  endRewind();
  liveState.clear();
  if (key === site.peek() && at === null && live) liveState.goOn(live);
  batch(() => {
    if (key !== site.peek()) {
      followed.value = null;
      stage.value = query.peek().get('page');
    }
    site.value = key;
    if (key !== null && at !== null) beginRewind(at);
    beat.value += 1;
  });
  if (key !== null) open({ site: key, stage: stage.peek() });
}

/** Opens what is played to a site and page. */
function open(wanted: StreamQuery): void {
  (rewind.peek() ?? stream).open(wanted);
}

/** Where the rewind is, by the address. */
let began = 0;
/** Ends writing the time that is played into the address. */
let endFollowing = () => {};

function beginRewind(at: number): void {
  began = at;
  const made = new Rewind({
    at,
    take,
    stepped: () => {
      for (const tell of scene.motion) tell();
    },
    now: serverNow,
    signedOut: () => leave(true),
  });
  liveState.clock = made.playback.playhead;
  rewind.value = made;
  endFollowing = followTime(made.playback.at, (time) => {
    began = Math.min(time, Math.floor(serverNow()));
    goTo(began, true);
  });
}

function endRewind(): void {
  endFollowing();
  rewind.peek()?.close();
  rewind.value = null;
  liveState.clock = LIVE;
}

function seek(at: number): void {
  began = at;
  liveState.clear();
  beat.value += 1;
  rewind.peek()?.seek(at);
}

/** Unix ms. */
function serverNow(): number {
  return Date.now() + liveState.clockOffset;
}

/** Shows the site as it was, Unix ms; there is nothing yet of what is to come. The address remembers it. */
export function rewindTo(at: number): void {
  goTo(Math.min(at, serverNow()), rewind.peek() !== null);
}

function goTo(at: number, replaces: boolean): void {
  const next = new URLSearchParams(query.peek());
  next.set('at', String(Math.floor(at)));
  go(`/admin?${next}`, replaces);
}

export function backToLive(): void {
  const next = new URLSearchParams(query.peek());
  next.delete('at');
  go(next.size ? `/admin?${next}` : '/admin');
}

export function retryNow(): void {
  stream.retry();
}

/** Shows another site in the section of the dashboard that is shown. */
export function showSite(key: string): void {
  const found = route.peek();
  const section = found && DASHBOARD_PAGES[found.name].section;
  go(address(DASHBOARD_PAGES[section ?? 'live'].path, { site: key }));
}

/** Puts a page on stage until another is chosen; null: the fullest page. The address remembers it. */
export function showPage(page: string | null): void {
  followed.value = null;
  const next = new URLSearchParams(query.peek());
  // Another page is perhaps looked at in other windows.
  next.delete('width');
  if (page === null) next.delete('page');
  else next.set('page', page);
  go(next.size ? `/admin?${next}` : '/admin', true);
  chooseStage();
}

/** Shows windows of one class on stage, or all. The address remembers it. */
export function showWidth(width: Width | 'all'): void {
  const next = new URLSearchParams(query.peek());
  next.set('width', width);
  go(`/admin?${next}`, true);
}

/** Follows a visitor from page to page; null ends it, and a page chosen before is on stage again. */
export function follow(id: string | null): void {
  followed.value = id;
  chooseStage();
}

/** The followed visitor's page, else the chosen one, else the one on stage while somebody is there, else the fullest. */
function chooseStage(): void {
  const person = followed.peek() === null ? undefined : liveState.byId(followed.peek() as string);
  if (!person) followed.value = null;
  const pages = liveState.pages();
  const still = pages.find((one) => one.page === stage.peek());
  const page = person?.visitor.page ?? query.peek().get('page') ?? still?.page ?? pages[0]?.page ?? stage.peek();
  if (page === stage.peek()) return;
  stage.value = page;
  const key = site.peek();
  if (key !== null) open({ site: key, stage: page });
}
