/** A node: the hub and broker of a primary in this process, with one worker whose messages the test sends. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createParser } from 'eventsource-parser';
import type { Broker } from '../../src/broker/contract.ts';
import { noBroker } from '../../src/broker/no-broker.ts';
import { RedisBroker } from '../../src/broker/redis-broker.ts';
import { Hub } from '../../src/hub/hub.ts';
import { createLogger, type Logger } from '../../src/log/logger.ts';
import type { NumberedChannel } from '../../src/protocol/channel.ts';
import { type Arrival, type RelayItem, TAG, type ToWorker } from '../../src/protocol/ipc.ts';
import { NO_SITE, type Past, type SiteMinute } from '../../src/protocol/peer.ts';
import type { StreamEventName, StreamEvents } from '../../src/protocol/stream-event.ts';
import { type RedisTarget, readTarget } from '../../src/redis/redis-url.ts';
import { until } from './exact.ts';
import type { Owner } from './owner.ts';
import { hereBy } from './stream.ts';

const WORKER = 1;
const SILENT = createLogger('silent', 'test');

interface ShownEvent<N extends StreamEventName = StreamEventName> {
  name: N;
  data: StreamEvents[N];
}

/** The events that a stream has received. */
export class Shown {
  readonly events: ShownEvent[] = [];
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    const parser = createParser({
      onEvent: ({ event, data }) => void this.events.push({ name: event as StreamEventName, data: JSON.parse(data) }),
    });
    socket.on('data', (bytes) => parser.feed(String(bytes)));
    socket.on('error', () => {});
  }

  of<N extends StreamEventName>(name: N): StreamEvents[N][] {
    return this.events.filter((one) => one.name === name).map(({ data }) => data as StreamEvents[N]);
  }

  /** Waits for an event that has already arrived or arrives later. */
  async see<N extends StreamEventName>(name: N, test: (data: StreamEvents[N]) => boolean = () => true) {
    await until(() => this.of(name).some(test), name);
    return this.of(name).find(test) as StreamEvents[N];
  }

  /** Ids of the visitors present, according to all events received. */
  here(): string[] {
    return hereBy(this.events);
  }

  async seeHere(ids: readonly string[]): Promise<void> {
    const wanted = [...ids].sort().join();
    await until(() => this.here().join() === wanted, `${wanted} here, but ${this.here()}`);
  }
}

export interface MachineOptions {
  /** The name of an earlier node; by default a new name. */
  name?: string;
  graceMs?: number;
  log?: Logger;
}

export class Machine {
  readonly name: string;
  /** Minutes of sites that were stored, and the minutes in which the node ran. */
  readonly kept: SiteMinute[] = [];
  readonly ran: number[] = [];
  /** False makes the store reject minutes. */
  canKeep = true;
  /** Number of times that minutes were rejected. */
  refused = 0;
  /** False makes the store deny viewers access. */
  mayLook = true;
  /** Number of times that access was denied. */
  forbidden = 0;
  readonly hub: Hub;
  readonly broker: Broker;
  /** Messages sent to the worker. */
  readonly told: ToWorker[] = [];
  readonly #t: Owner;
  readonly #granted = new Map<number, (v: number) => void>();
  #claim = 0;
  #closing: Promise<unknown> | undefined;

  private constructor(t: Owner, broker: Broker, name: string, graceMs: number) {
    this.#t = t;
    this.name = name;
    this.broker = broker;
    this.hub = new Hub({
      graceMs,
      maxStreams: 100,
      maxStreamsEach: 100,
      version: 'test',
      log: SILENT,
      send: (_, message) => this.#told(message),
      sendAll: (message) => this.#told(message),
      allowed: async () => {
        if (!this.mayLook) this.forbidden += 1;
        return this.mayLook;
      },
      keep: async (minutes) => this.#keep(minutes),
      machine: name,
      others: broker,
    });
    broker.start(this.hub);
    t.after(() => this.close());
  }

  /** Starts a node; without an address it is a single node. */
  static async start(t: Owner, url?: string, options: MachineOptions = {}): Promise<Machine> {
    const { name = randomUUID(), graceMs = 10_000, log = SILENT } = options;
    const broker = url === undefined ? noBroker : await RedisBroker.start(readTarget(url) as RedisTarget, log, name);
    return new Machine(t, broker, name, graceMs);
  }

  #keep(minutes: readonly SiteMinute[]): boolean {
    if (!this.canKeep) this.refused += 1;
    else
      for (const minute of minutes)
        if (minute.site === NO_SITE) this.ran.push(minute.t);
        else this.kept.push(minute);
    return this.canKeep;
  }

  #told(message: ToWorker): void {
    this.told.push(message);
    if (message.k !== 'grants') return;
    for (let i = 0; i + 3 < message.grants.length; i += 4)
      this.#granted.get(message.grants[i] as number)?.(message.grants[i + 1] as number);
  }

  /** Channels that the worker must render. */
  get channels(): NumberedChannel[] {
    const channels = new Map<number, NumberedChannel>();
    for (const message of this.told)
      if (message.k === 'watch') channels.set(message.channel.no, message.channel);
      else if (message.k === 'unwatch') channels.delete(message.no);
    return [...channels.values()];
  }

  batch(...items: RelayItem[]): void {
    this.hub.receive(WORKER, { tag: TAG, k: 'batch', items }, undefined);
  }

  /** Admits a visitor; returns its number and the number of its claim. */
  async join(id: string, site = 'demo', page = '/'): Promise<{ v: number; claim: number }> {
    this.#claim += 1;
    const claim = this.#claim;
    const granted = new Promise<number>((resolve) => this.#granted.set(claim, resolve));
    this.batch({ k: 'claim', claim, arrival: arrival(id, site, page), posted: null, last: 0 });
    return { v: await granted, claim };
  }

  leave({ v, claim }: { v: number; claim: number }): void {
    this.batch({ k: 'gone', v, claim, n: 0, t: Date.now(), last: 0, reason: 'refused' });
  }

  /** Opens a stream. */
  async watch(
    site = 'demo',
    more: { page?: string; moves?: 'full' | 'latest' | 'none'; past?: Past; checked?: boolean; made?: number } = {},
  ): Promise<Shown> {
    const [here, there] = await socketPair(this.#t);
    const { page = null, moves = 'full', past = null, checked = true, made = 0 } = more;
    const request = {
      site,
      page,
      visitor: null,
      stage: null,
      moves,
      lastEventId: null,
      credential: 'test',
      holders: ['test'],
      checked,
      made,
    };
    this.hub.receive(WORKER, { tag: TAG, k: 'stream', request, past }, there);
    return new Shown(here);
  }

  /** Closes the node as a stop does. */
  close(): Promise<unknown> {
    this.#closing ??= Promise.all([this.hub.close(), this.broker.close()]);
    return this.#closing;
  }
}

export function arrival(id: string, site: string, page: string): Arrival {
  const rest = { origin: '', since: Date.now(), device: 'desktop', at: null, hidden: false, label: '' } as const;
  return { id, site, page, ...rest, size: [1280, 720, 1280, 2000], language: 'en', referrer: '' };
}

/** Two connected sockets. The first is destroyed with its owner. */
export async function socketPair(t: Owner): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const here = connect(port, '127.0.0.1');
  const [there] = (await once(server, 'connection')) as [Socket];
  server.close();
  t.after(() => here.destroy());
  return [here, there];
}
