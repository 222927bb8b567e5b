/**
 * What is watched now. Channels are numbered once and told to every worker; one that nobody watches any
 * more stays for a while, so that a stream that was cut finds no gap when it comes back.
 */
import type { Channel, NumberedChannel, ToWorker } from '../protocol/relay.ts';
import { TAG } from '../protocol/relay.ts';
import type { Subscriber } from './subscriber.ts';

/** How long a channel stays after its last subscriber left, milliseconds. */
const LINGER_MS = 30_000;

export interface Watched extends NumberedChannel {
  subscribers: Set<Subscriber>;
  /** The last event before this channel was rendered: no resume reaches further back. */
  since: number;
  /**
   * A reader was cut while moves were left out for it. They have no id to resume from: who resumes gets the latest
   * positions.
   */
  cutShort: boolean;
  /** When the last subscriber left, Unix ms; 0 while there is one. */
  idleSince: number;
}

export class Interest {
  readonly #tell: (message: ToWorker) => void;
  readonly #byKey = new Map<string, Watched>();
  readonly #byNo = new Map<number, Watched>();
  #last = 0;

  constructor(tell: (message: ToWorker) => void) {
    this.#tell = tell;
  }

  get(no: number): Watched | undefined {
    return this.#byNo.get(no);
  }

  /** The channel, made known to the workers if it is new. `seq` is the last event's. */
  open(channel: Channel, seq: number): Watched {
    const key = keyOf(channel);
    const known = this.#byKey.get(key);
    if (known) return known;
    this.#last += 1;
    const watched: Watched = {
      ...channel,
      no: this.#last,
      subscribers: new Set(),
      since: seq,
      cutShort: false,
      idleSince: 0,
    };
    this.#byKey.set(key, watched);
    this.#byNo.set(watched.no, watched);
    this.#tell(watchMessage(watched));
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

  /** Ends channels that nobody watched for long. */
  sweep(now: number): void {
    for (const watched of this.#byNo.values()) {
      if (watched.idleSince === 0 || now - watched.idleSince < LINGER_MS) continue;
      this.#byNo.delete(watched.no);
      this.#byKey.delete(keyOf(watched));
      this.#tell({ tag: TAG, k: 'unwatch', no: watched.no });
    }
  }

  /** What a new worker must know. */
  messages(): ToWorker[] {
    return [...this.#byNo.values()].map(watchMessage);
  }

  /** Sites that are watched, each as often as it has channels. */
  *sites(): Generator<string> {
    for (const watched of this.#byNo.values()) yield watched.site;
  }

  /** True if a stream shows this site, or did so a short while ago. */
  watches(site: string): boolean {
    for (const watched of this.#byNo.values()) if (watched.site === site) return true;
    return false;
  }
}

function keyOf({ site, page, visitor, moves }: Channel): string {
  return JSON.stringify([site, page, visitor, moves]);
}

function watchMessage({ no, site, page, visitor, moves }: Watched): ToWorker {
  return { tag: TAG, k: 'watch', channel: { no, site, page, visitor, moves } };
}
