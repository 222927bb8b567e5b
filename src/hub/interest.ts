/**
 * The channels that are watched, here or on other nodes. Every channel gets a number once, which every worker is told.
 * A channel that nobody watches any more stays for a while, so that a stream that reconnects finds no gap.
 */
import { type Channel, channelKey, type NumberedChannel } from '../protocol/channel.ts';
import { TAG, type ToWorker } from '../protocol/ipc.ts';
import type { Subscriber } from './subscriber.ts';

/** How long a channel stays after its last subscriber has left, milliseconds. */
const LINGER_MS = 30_000;

export interface Watched extends NumberedChannel {
  key: string;
  subscribers: Set<Subscriber>;
  /** A stream of this node shows the channel, or did so until a moment ago. */
  isWatchedHere: boolean;
  /** Streams of other nodes show the channel. */
  isWatchedRemotely: boolean;
  /** The last event before the channel was rendered for streams of this node. No stream can resume before it. */
  since: number;
  /**
   * A stream was cut while moves were skipped for it. Skipped moves have no id to resume from, so streams that resume
   * get the latest positions.
   */
  cutShort: boolean;
  /** When the last subscriber left, Unix ms; 0 while the channel has subscribers. */
  idleSince: number;
}

export interface InterestEvents {
  /** Sends the message to every worker. */
  tell(message: ToWorker): void;
  /** The set of channels that are watched on this node has changed. */
  changed(): void;
}

export class Interest {
  readonly #events: InterestEvents;
  readonly #byKey = new Map<string, Watched>();
  readonly #byNo = new Map<number, Watched>();
  /** Number of watched channels by site: on this node and on others. */
  readonly #sitesWatchedHere = new Map<string, number>();
  readonly #sitesWatchedRemotely = new Map<string, number>();
  #last = 0;

  constructor(events: InterestEvents) {
    this.#events = events;
  }

  get(no: number): Watched | undefined {
    return this.#byNo.get(no);
  }

  find(key: string): Watched | undefined {
    return this.#byKey.get(key);
  }

  /** Returns the channel. If it is new, the workers are told. `seq` is the number of the last event. */
  open(channel: Channel, seq: number): Watched {
    const watched = this.#getOrCreate(channel);
    if (watched.isWatchedHere) return watched;
    Object.assign(watched, { isWatchedHere: true, since: seq, cutShort: false });
    count(this.#sitesWatchedHere, watched.site, 1);
    this.#events.changed();
    return watched;
  }

  #getOrCreate({ site, page, visitor, moves }: Channel): Watched {
    const key = channelKey({ site, page, visitor, moves });
    const known = this.#byKey.get(key);
    if (known) return known;
    this.#last += 1;
    const rest = {
      subscribers: new Set<Subscriber>(),
      isWatchedHere: false,
      isWatchedRemotely: false,
      since: 0,
      cutShort: false,
    };
    const watched: Watched = { no: this.#last, key, site, page, visitor, moves, ...rest, idleSince: 0 };
    this.#byKey.set(key, watched);
    this.#byNo.set(watched.no, watched);
    this.#events.tell(watchMessage(watched));
    return watched;
  }

  join(watched: Watched, subscriber: Subscriber): void {
    watched.subscribers.add(subscriber);
    watched.idleSince = 0;
  }

  leave(watched: Watched, subscriber: Subscriber, now: number): void {
    watched.subscribers.delete(subscriber);
    if (watched.subscribers.size === 0) watched.idleSince = now;
  }

  /** Sets the complete list of channels that other nodes show. Returns the new ones. */
  setRemoteChannels(channels: readonly Channel[]): Watched[] {
    const wanted = new Set(channels.map((channel) => this.#getOrCreate(channel)));
    for (const watched of this.#byNo.values())
      if (watched.isWatchedRemotely && !wanted.has(watched)) this.#unwatchRemotely(watched);
    const added = [...wanted].filter(({ isWatchedRemotely }) => !isWatchedRemotely);
    for (const watched of added) {
      watched.isWatchedRemotely = true;
      count(this.#sitesWatchedRemotely, watched.site, 1);
    }
    return added;
  }

  #unwatchRemotely(watched: Watched): void {
    watched.isWatchedRemotely = false;
    count(this.#sitesWatchedRemotely, watched.site, -1);
    this.#removeIfUnwatched(watched);
  }

  /** Removes channels that nobody has watched for LINGER_MS. */
  sweep(now: number): void {
    let changed = false;
    for (const watched of this.#byNo.values()) {
      if (!watched.isWatchedHere || watched.idleSince === 0 || now - watched.idleSince < LINGER_MS) continue;
      watched.isWatchedHere = false;
      count(this.#sitesWatchedHere, watched.site, -1);
      this.#removeIfUnwatched(watched);
      changed = true;
    }
    if (changed) this.#events.changed();
  }

  #removeIfUnwatched({ isWatchedHere, isWatchedRemotely, no, key }: Watched): void {
    if (isWatchedHere || isWatchedRemotely) return;
    this.#byNo.delete(no);
    this.#byKey.delete(key);
    this.#events.tell({ tag: TAG, k: 'unwatch', no });
  }

  /** The messages that tell a new worker which channels are watched. */
  messages(): ToWorker[] {
    return [...this.#byNo.values()].map(watchMessage);
  }

  /** Channels that are watched on this node. */
  channels(): Watched[] {
    return [...this.#byNo.values()].filter(({ isWatchedHere }) => isWatchedHere);
  }

  /** Channels of a site that are watched on this node. */
  of(site: string): Watched[] {
    return this.channels().filter((watched) => watched.site === site);
  }

  /** Sites that are watched, here or on other nodes. */
  sites(): Iterable<string> {
    return new Set([...this.#sitesWatchedHere.keys(), ...this.#sitesWatchedRemotely.keys()]);
  }

  /** True if a stream of this node shows the site, or did so until a moment ago. */
  watches(site: string): boolean {
    return this.#sitesWatchedHere.has(site);
  }

  /** True if a stream of another node shows the site. */
  isWatchedRemotely(site: string): boolean {
    return this.#sitesWatchedRemotely.has(site);
  }
}

function count(counts: Map<string, number>, site: string, by: number): void {
  const sum = (counts.get(site) ?? 0) + by;
  if (sum === 0) counts.delete(site);
  else counts.set(site, sum);
}

function watchMessage({ no, site, page, visitor, moves }: Watched): ToWorker {
  return { tag: TAG, k: 'watch', channel: { no, site, page, visitor, moves } };
}
