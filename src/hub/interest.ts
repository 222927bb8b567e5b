/**
 * What is watched now, here or on other machines. Channels are numbered once and told to every worker; one that nobody watches any
 * more stays for a while, so that a stream that was cut finds no gap when it comes back.
 */
import { type Channel, channelKey, type NumberedChannel } from '../protocol/channel.ts';
import { TAG, type ToWorker } from '../protocol/ipc.ts';
import type { Subscriber } from './subscriber.ts';

/** How long a channel stays after its last subscriber left, milliseconds. */
const LINGER_MS = 30_000;

export interface Watched extends NumberedChannel {
  key: string;
  subscribers: Set<Subscriber>;
  /** A stream of this machine shows it, or did so a short while ago. */
  here: boolean;
  /** Streams of other machines show it. */
  there: boolean;
  /** The last event before this channel was rendered for streams of here: no resume reaches further back. */
  since: number;
  /**
   * A reader was cut while moves were left out for it. They have no id to resume from: who resumes gets the latest
   * positions.
   */
  cutShort: boolean;
  /** When the last subscriber left, Unix ms; 0 while there is one. */
  idleSince: number;
}

export interface InterestEvents {
  /** Sends to every worker. */
  tell(message: ToWorker): void;
  /** Other channels are watched here than before. */
  changed(): void;
}

export class Interest {
  readonly #events: InterestEvents;
  readonly #byKey = new Map<string, Watched>();
  readonly #byNo = new Map<number, Watched>();
  /** Channels of each site, by who watches. */
  readonly #here = new Map<string, number>();
  readonly #there = new Map<string, number>();
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

  /** The channel, made known to the workers if it is new. `seq` is the last event's. */
  open(channel: Channel, seq: number): Watched {
    const watched = this.#known(channel);
    if (watched.here) return watched;
    Object.assign(watched, { here: true, since: seq, cutShort: false });
    count(this.#here, watched.site, 1);
    this.#events.changed();
    return watched;
  }

  #known({ site, page, visitor, moves }: Channel): Watched {
    const key = channelKey({ site, page, visitor, moves });
    const known = this.#byKey.get(key);
    if (known) return known;
    this.#last += 1;
    const rest = { subscribers: new Set<Subscriber>(), here: false, there: false, since: 0, cutShort: false };
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

  /** Takes the channels that other machines show, all of them. Gives those that are new. */
  carry(channels: readonly Channel[]): Watched[] {
    const wanted = new Set(channels.map((channel) => this.#known(channel)));
    for (const watched of this.#byNo.values()) if (watched.there && !wanted.has(watched)) this.#uncarry(watched);
    const added = [...wanted].filter(({ there }) => !there);
    for (const watched of added) {
      watched.there = true;
      count(this.#there, watched.site, 1);
    }
    return added;
  }

  #uncarry(watched: Watched): void {
    watched.there = false;
    count(this.#there, watched.site, -1);
    this.#endUnwatched(watched);
  }

  /** Ends channels that nobody watched for long. */
  sweep(now: number): void {
    let changed = false;
    for (const watched of this.#byNo.values()) {
      if (!watched.here || watched.idleSince === 0 || now - watched.idleSince < LINGER_MS) continue;
      watched.here = false;
      count(this.#here, watched.site, -1);
      this.#endUnwatched(watched);
      changed = true;
    }
    if (changed) this.#events.changed();
  }

  #endUnwatched({ here, there, no, key }: Watched): void {
    if (here || there) return;
    this.#byNo.delete(no);
    this.#byKey.delete(key);
    this.#events.tell({ tag: TAG, k: 'unwatch', no });
  }

  /** What a new worker must know. */
  messages(): ToWorker[] {
    return [...this.#byNo.values()].map(watchMessage);
  }

  /** Channels that are watched here. */
  channels(): Watched[] {
    return [...this.#byNo.values()].filter(({ here }) => here);
  }

  /** Channels of a site that are watched here. */
  of(site: string): Watched[] {
    return this.channels().filter((watched) => watched.site === site);
  }

  /** Sites that are watched, here or elsewhere. */
  sites(): Iterable<string> {
    return new Set([...this.#here.keys(), ...this.#there.keys()]);
  }

  /** True if a stream of this machine shows this site, or did so a short while ago. */
  watches(site: string): boolean {
    return this.#here.has(site);
  }

  /** True if a stream of another machine shows this site. */
  isWatchedRemotely(site: string): boolean {
    return this.#there.has(site);
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
