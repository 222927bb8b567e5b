/** The stream or rewind behind the live screen: which site, time and page of it is shown. */
import { batch, effect, untracked } from '@preact/signals';
import { MARK_LISTS } from '../../model/mark.ts';
import { Rewind } from '../rewind/rewind.ts';
import { LIVE } from '../shell/clock.ts';
import { address, followTime, go, query, route, routeTime } from '../shell/route.ts';
import { leave, session } from '../shell/session.ts';
import { chosenSite, reloadSites, server, sites } from '../shell/sites.ts';
import type { SavedFeed } from './feed-items.ts';
import { putTime } from './live-address.ts';
import {
  followed,
  link,
  liveState,
  notice,
  rewind,
  scene,
  second,
  serverNow,
  site,
  stage,
  version,
} from './live-signals.ts';
import type { StreamEvent } from './live-state.ts';
import { pauseWhileHidden } from './pause-unseen.ts';
import { Stream, type StreamQuery } from './stream.ts';

const REDRAW_MS = 250;
/** Minimum time between two changes of `second`, ms: a rewind plays the seconds of the past faster. */
const MIN_SECOND_MS = 200;

const stream = new Stream({
  event: take,
  link(value) {
    link.value = value;
    if (value.state === 'signed-out') leave(true);
    // If the site was removed, the new list leads to another one.
    if (value.state === 'lost' && value.refused) reloadSites().catch(() => undefined);
  },
});

const MOTION = new Set<StreamEvent['name']>(['moves', 'scroll', ...MARK_LISTS.map(([name]) => name)]);
/** When `second` changed last, `performance.now()`. */
let lastSecond = 0;

/** Applies an event of the stream or of a rewind. */
function take(event: StreamEvent): void {
  liveState.apply(event, liveState.clock.now());
  if (MOTION.has(event.name) || event.name === 'snapshot') for (const draw of scene.motion) draw(event);
  if (!MOTION.has(event.name)) scheduleRedraw();
  if (event.name !== 'rates' || performance.now() < lastSecond + MIN_SECOND_MS) return;
  lastSecond = performance.now();
  second.value += 1;
}

let redrawTimer: ReturnType<typeof setTimeout> | undefined;

/** Redraws the lists within REDRAW_MS. */
function scheduleRedraw(): void {
  if (redrawTimer !== undefined) return;
  redrawTimer = setTimeout(() => {
    redrawTimer = undefined;
    batch(() => {
      version.value += 1;
      chooseStage();
    });
  }, REDRAW_MS);
}

/** Plays the site and time of the address while the live screen is shown. Returns a function that stops this. */
export function watchSite(): () => void {
  const stopEffect = effect(() => {
    const keys = sites.value.map((one) => one.key);
    const wanted = query.value.get('site');
    const key = chosenSite.value;
    const at = routeTime(query.value.get('at'));
    if (route.value?.name !== 'live' || server.value === null) return;
    const missing = [wanted, site.peek()].find((one) => one !== null && !keys.includes(one));
    untracked(() => {
      if (missing) reportMissingSite(missing, key);
      if (at !== null && at > serverNow()) return putTime(serverNow(), true);
      if (key !== site.peek() || (at === null) !== (rewind.peek() === null)) switchTo(key, at);
      else if (at !== null && at !== addressTime) seek(at);
    });
  });
  const stopPausing = pauseWhileHidden(stream);
  return () => {
    stopEffect();
    stopPausing();
    stream.close();
    endRewind();
    site.value = null;
  };
}

/** Reports that a site does not exist any more, and corrects the address. */
function reportMissingSite(missing: string, next: string | null): void {
  notice.value = site.peek() === missing ? `Site ${missing} was removed.` : `Site ${missing} does not exist.`;
  go(address('/admin', { site: next }), true);
}

/** State of the stream before the current rewind. */
let reportedLive: SavedFeed | undefined;

/** Shows a site, live or as it was at `at`, Unix ms. If the site stays, its page and followed visitor stay. */
function switchTo(key: string | null, at: number | null): void {
  stream.close();
  if (rewind.peek() === null) reportedLive = liveState.feed.save();
  endRewind();
  liveState.clear();
  if (key === site.peek() && at === null && reportedLive) liveState.feed.restore(reportedLive);
  batch(() => {
    if (key !== site.peek()) {
      followed.value = null;
      stage.value = query.peek().get('page');
    }
    site.value = key;
    if (key !== null && at !== null) startRewind(at);
    version.value += 1;
  });
  if (key !== null) open({ site: key, stage: stage.peek() });
}

/** Requests a site and page, from the rewind if there is one, else from the stream. */
function open(wanted: StreamQuery): void {
  (rewind.peek() ?? stream).open(wanted);
}

/** Time of the rewind in the address, Unix ms. */
let addressTime = 0;
/** Stops writing the played time into the address. */
let stopFollowing = () => {};

function startRewind(at: number): void {
  addressTime = at;
  const started = new Rewind({
    at,
    take,
    stepped: () => {
      for (const draw of scene.motion) draw();
    },
    now: serverNow,
    signedOut: () => leave(true),
  });
  liveState.clock = started.playback.playhead;
  rewind.value = started;
  stopFollowing = followTime(started.playback.at, (time) => {
    addressTime = Math.min(time, Math.floor(serverNow()));
    putTime(addressTime, true);
  });
}

function endRewind(): void {
  stopFollowing();
  rewind.peek()?.close();
  rewind.value = null;
  liveState.clock = LIVE;
}

function seek(at: number): void {
  addressTime = at;
  liveState.clear();
  version.value += 1;
  rewind.peek()?.seek(at);
}

/** Connects again at once, without waiting for the next retry. */
export function retryNow(): void {
  stream.retry();
}

/** Puts a page on stage until another is chosen; null: the page with the most visitors. The address remembers it. */
export function showPage(page: string | null): void {
  followed.value = null;
  const next = new URLSearchParams(query.peek());
  // Visitors of another page may have windows of other sizes.
  next.delete('width');
  if (page === null) next.delete('page');
  else next.set('page', page);
  go(next.size ? `/admin?${next}` : '/admin', true);
  chooseStage();
}

/** Follows a visitor from page to page. null stops that; a page chosen before returns to the stage. */
export function follow(id: string | null): void {
  followed.value = id;
  chooseStage();
}

/**
 * Puts the followed visitor's page on stage, else the chosen page, else the current page while it has visitors, else
 * the page with the most visitors.
 */
function chooseStage(): void {
  const person = followed.peek() === null ? undefined : liveState.byId(followed.peek() as string);
  if (!person) followed.value = null;
  const pages = liveState.pages();
  const current = pages.find((one) => one.page === stage.peek());
  const page = person?.visitor.page ?? query.peek().get('page') ?? current?.page ?? pages[0]?.page ?? stage.peek();
  if (page === stage.peek()) return;
  stage.value = page;
  const key = site.peek();
  if (key !== null) open({ site: key, stage: page });
}

/** The next person to sign in must not see anything of this person's. */
effect(() => {
  if (session.value !== null) return;
  untracked(() => {
    stream.close();
    endRewind();
    liveState.clear();
    batch(() => {
      site.value = null;
      stage.value = null;
      followed.value = null;
    });
  });
});
