/** The activity: visitors that joined, changed the page or left. */
import type { Departure, Visitor } from '../../model/visitor.ts';
import type { StreamEvents } from '../../protocol/stream-event.ts';
import type { Badge, Names } from '../ui/visitor-badge.ts';

/** One line of the activity. */
export interface FeedItem {
  no: number;
  /** Unix ms, by the clock of the server. */
  t: number;
  kind: 'join' | 'page' | 'leave';
  id: string;
  badge: Badge;
  page: string;
  reason?: StreamEvents['leave']['reason'];
  /** The visitor joined again. */
  isBack?: true;
  /** The visitor joined before the stream was opened, so `page` is its current page. */
  isPast?: true;
}

/** The activity, and the time span in which it is complete. */
export type SavedFeed = Pick<FeedItems, 'items' | 'since' | 'until'>;

type NewItem = Omit<FeedItem, 'no'>;

interface Person {
  visitor: Visitor;
  badge: Badge;
}

const MAX_FEED_ITEMS = 80;
/**
 * A visitor that started this long before it joins has joined again, milliseconds: its node was restarted, or it was
 * connected to another node.
 */
const BACK_MS = 5000;

export class FeedItems {
  /** Newest first. */
  items: readonly FeedItem[] = [];
  /** Time from which the activity is complete, Unix ms of the server; undefined before the first snapshot. */
  since: number | undefined;
  /** Time up to which the activity is complete, Unix ms of the server. */
  until = 0;
  #count = 0;

  join(t: number, person: Person): void {
    const isBack = person.visitor.since < t - BACK_MS && { isBack: true as const };
    this.#add({ ...joinOf(t, person), ...isBack });
  }

  navigate(t: number, { visitor: { id, page }, badge }: Person): void {
    this.#add({ t, kind: 'page', id, badge, page });
  }

  leave(t: number, { visitor: { id, page }, badge }: Person, reason: StreamEvents['leave']['reason']): void {
    this.#add({ t, kind: 'leave', id, badge, page, reason });
  }

  /** Adds the activity before the first snapshot: visitors that are present, and those that left. */
  addBefore(present: readonly Person[], left: readonly Departure[], names: Names): void {
    const ids = new Set(present.map(({ visitor }) => visitor.id));
    const items: NewItem[] = present.map((one) => ({ ...joinOf(one.visitor.since, one), isPast: true }));
    for (const { t, id, label, page, reason } of left)
      if (!ids.has(id)) items.push({ t, kind: 'leave', id, badge: names.badgeOf(id, label), page, reason });
    items.sort((a, b) => a.t - b.t);
    for (const item of items.slice(-MAX_FEED_ITEMS)) this.#add(item);
  }

  /**
   * Adds the visitors that joined while no stream was open. `unknown`: visitors that are new in the snapshot. Those
   * that joined earlier are on a node that did not respond until now. Missing visitors are not reported as left: a node
   * that was just started does not know all visitors yet.
   */
  addMeanwhile(unknown: readonly Person[]): void {
    const joined = unknown.filter(({ visitor }) => visitor.since > this.until);
    joined.sort((a, b) => a.visitor.since - b.visitor.since);
    for (const one of joined) this.#add(joinOf(one.visitor.since, one));
  }

  /** Gives a visitor's items another badge. */
  rename(id: string, badge: Badge): void {
    this.items = this.items.map((one) => (one.id === id ? { ...one, badge } : one));
  }

  /** The activity so far, for `restore`. */
  save(): SavedFeed {
    const { items, since, until } = this;
    return { items, since, until };
  }

  /** Restores the activity after `clear`. */
  restore(saved: SavedFeed): void {
    Object.assign(this, saved);
  }

  /** Forgets the activity. */
  clear(): void {
    this.items = [];
    this.since = undefined;
  }

  #add(item: NewItem): void {
    this.#count += 1;
    this.items = [{ no: this.#count, ...item }, ...this.items.slice(0, MAX_FEED_ITEMS - 1)];
  }
}

function joinOf(t: number, { visitor: { id, page }, badge }: Person): NewItem {
  return { t, kind: 'join', id, badge, page };
}
