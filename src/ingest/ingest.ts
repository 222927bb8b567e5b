/**
 * The visitors of one worker: accepts upgrades and POSTs, holds the connections, and closes them at the end.
 */
import type { IncomingMessage } from 'node:http';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { type Server, type ServerOptions, WebSocketServer } from 'ws';
import { forEachConcurrently } from '../lib/concurrency.ts';
import { PunctualTimer, sinceTurnMs } from '../lib/punctual-timer.ts';
import { isAllowedOrigin } from '../model/site.ts';
import { MAX_TEXT } from '../model/text.ts';
import { SUBPROTOCOL } from '../protocol/control.ts';
import type { Beacon, BeaconReply, Peer } from '../protocol/post.ts';
import type { ProblemCode, ProblemStatus } from '../protocol/problems.ts';
import { withoutNul } from '../protocol/reader.ts';
import { endWithProblem, isAwayCode } from '../server/raw-problem.ts';
import { acceptPlain, acceptWebSocket, destroyItself, type Upgrade } from './accept.ts';
import { Admission } from './admission.ts';
import type { Contact } from './arrival.ts';
import { Beacons } from './beacon.ts';
import { Connection, type ConnectionHost, type Newcomer } from './connection.ts';
import type { IngestOptions } from './contract.ts';
import type { Counters } from './counters.ts';
import { REFUSALS, RETRY_S } from './refusal.ts';
import { RoundRobin, TURN_MS } from './round-robin.ts';
import { readLimit, VisitRegistry } from './visit-registry.ts';
import { VisitorSocket } from './visitor-socket.ts';

const SECOND_MS = 1000;
/** Interval between two checks of the load, milliseconds. */
const LOAD_MS = 250;
/** Seconds between two pings of a connection. A connection that is silent until the next ping is cut. */
const PROBE_ROUNDS = 15;
/** The round after a probe in which connections give back memory. By then the answer to the ping has arrived. */
const REST_ROUND = 2;
const SITE_CHECK_MS = 2000;
/** Maximum number of concurrent lookups of sites. */
const SITES_AT_ONCE = 16;
/** A closing handshake that the other side does not complete is cut off after this time, milliseconds. */
const CLOSE_TIMEOUT_MS = 2000;

/**
 * Maximum number of buffered fragments of a message. Trackers send each frame whole, and networks cut it only where a
 * packet ends. Each fragment costs a hundred bytes and more, however small it is.
 */
const MAX_FRAGMENTS = 64;
const MIN_PIECE_BYTES = 64;

/** Prefix of a resume token that a `json` client offers beside its subprotocol, so that the token is in no URL. */
const RESUME_PREFIX = 'resume.';

/** Versions of the WebSocket protocol that ws supports. */
const WS_VERSIONS = ['13', '8'];

export class Ingest implements ConnectionHost {
  readonly #options: IngestOptions;
  readonly #registry: VisitRegistry;
  readonly #admission: Admission;
  readonly #beacons: Beacons;
  readonly #sockets: Server<typeof VisitorSocket>;
  readonly #connections = new Set<Connection>();
  readonly #roundRobin = new RoundRobin(this.#connections);
  readonly #timers: PunctualTimer[];
  readonly #loopDelay = monitorEventLoopDelay();
  #loopUse = performance.eventLoopUtilization();
  #closed = false;
  /** Called when no connection is left. */
  #whenEmpty = () => {};

  constructor(options: IngestOptions) {
    const { config } = options;
    const maxPayload = readLimit(config);
    this.#options = options;
    this.#registry = new VisitRegistry(options);
    this.#admission = new Admission(config.maxConnections, options.maxPerAddress, config.maxAddressRate);
    this.#beacons = new Beacons(this.#registry, options, this.#admission);
    // Options of ws since 8.19 and 8.21 that its types do not list yet.
    const limits: ServerOptions<typeof VisitorSocket> & {
      closeTimeout: number;
      maxFragments: number;
      maxBufferedChunks: number;
    } = {
      noServer: true,
      WebSocket: VisitorSocket,
      maxPayload,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: Math.ceil(maxPayload / MIN_PIECE_BYTES),
      perMessageDeflate: false,
      clientTracking: false,
      closeTimeout: CLOSE_TIMEOUT_MS,
      handleProtocols: (offered) => chooseProtocol(offered),
    };
    this.#sockets = new WebSocketServer(limits);
    this.#sockets.on('wsClientError', refuseHandshake);
    this.#loopDelay.enable();
    this.#timers = [
      new PunctualTimer(() => this.#probeShare(), TURN_MS, true),
      new PunctualTimer(() => this.#onSecond(), SECOND_MS, true),
      new PunctualTimer(() => this.#observeLoad(), LOAD_MS, true),
      new PunctualTimer(() => this.#checkSites().catch((error) => this.#logError(error)), SITE_CHECK_MS, true),
    ];
  }

  /** Current connections, and totals so far. */
  figures(): Pick<Counters, 'acks' | 'closes' | 'refusals'> & { connections: number } {
    const { acks, closes, refusals } = this.#registry.counters;
    return { acks, closes, refusals, connections: this.#connections.size };
  }

  /** Handles an HTTP upgrade. Errors are answered with a problem (RFC 9457) on the socket. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, peer: Peer): Promise<void> {
    socket.on('error', destroyItself);
    const refusal = await this.#tryUpgrade({ request, socket, head }, peer);
    if (!refusal) return;
    const [status, code, detail] = refusal;
    this.#registry.counters.refused(code);
    this.#options.refused(siteIn(request), request.headers.origin, code);
    const isTemporary = status === 429 || status === 503;
    endWithProblem(socket, { status, code, detail, ...(isTemporary && { retryAfter: RETRY_S }) });
  }

  async #tryUpgrade(upgrade: Upgrade, peer: Peer): Promise<Refusal | undefined> {
    const { address, host } = peer;
    const { request, socket } = upgrade;
    const url = urlOf(request.url ?? '/');
    if (!url) return [400, 'bad-request', 'The address cannot be read.'];
    if (url.pathname !== this.#options.config.endpoint) return [404, 'not-found', 'There is no WebSocket here.'];
    const offered = new Set((request.headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim()));
    offered.delete('');
    if (offered.size > 0 && !chooseProtocol(offered)) return [400, 'bad-subprotocol', 'Offer fieldmouse.v1 or json.'];
    const contact = contactOf(url, request.headers.origin);
    if (!contact) return [400, 'bad-page', `The page is longer than ${MAX_TEXT.page} characters.`];
    const refusal = await this.#checkSite(contact.site, request.headers.origin, host);
    if (refusal || socket.destroyed) return refusal;
    if (this.#closed) return [503, 'stopping', 'The server stops.'];
    const entry = this.#admission.enter(address, performance.now());
    if (typeof entry === 'string') return [REFUSALS[entry].status, entry, REFUSALS[entry].detail];
    const newcomer: Newcomer = { contact: { ...contact, country: peer.country }, host, address: entry };
    const open = (socket: VisitorSocket) => this.#addConnection(socket, newcomer, resumeToken(offered));
    if (!this.#accept(upgrade, open)) this.#admission.leave(entry);
    return undefined;
  }

  #accept(upgrade: Upgrade, open: (socket: VisitorSocket) => Connection): boolean {
    const { config, moved, sharesReads } = this.#options;
    const opening = { moved, open };
    return sharesReads
      ? acceptWebSocket(this.#sockets, upgrade, readLimit(config), opening)
      : acceptPlain(this.#sockets, upgrade, opening);
  }

  async #checkSite(key: string, origin: string | undefined, host: string | undefined): Promise<Refusal | undefined> {
    const site = await this.#options.site(key);
    if (!site) return [404, 'unknown-site', 'There is no such site.'];
    if (!isAllowedOrigin(site, origin, host))
      return [403, 'origin-not-allowed', 'This site does not allow that origin.'];
    if (site.firstSeen === null) this.#options.markSeen(key);
    return undefined;
  }

  #addConnection(socket: VisitorSocket, newcomer: Newcomer, resume: string): Connection {
    const connection = new Connection(this, socket, this.#registry, newcomer, resume);
    this.#connections.add(connection);
    return connection;
  }

  connectionClosed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#admission.leave(connection.newcomer.address);
    if (this.#connections.size === 0) this.#whenEmpty();
  }

  /** Handles a POST to the visitor endpoint. */
  async beacon(request: Beacon): Promise<BeaconReply> {
    const reply = await this.#beacons.receive(request);
    if ('code' in reply.body) this.#options.refused(request.site, request.origin, String(reply.body.code));
    return reply;
  }

  /** Ends the visit with this number if the primary has given its visitor to another connection. */
  release(v: number): void {
    const visit = this.#registry.findByNumber(v);
    if (visit?.trace.released) visit.end('moved');
  }

  /** Updates and probes the connections whose turn it is. */
  #probeShare(): void {
    for (const connection of this.#roundRobin.turn(performance.now())) {
      connection.update();
      const round = this.#roundRobin.number % PROBE_ROUNDS;
      if (round === 0) connection.probe();
      else if (round === REST_ROUND) connection.rest();
    }
  }

  #onSecond(): void {
    this.#beacons.sweep();
    this.#admission.sweep(performance.now());
  }

  /** Sets the pace. Visitors get it in their next update. */
  #observeLoad(): void {
    const { pace } = this.#registry;
    // The histogram gets a delay only when it is over.
    const loopDelayMs = Math.round(Math.max(this.#loopDelay.max / 1e6, sinceTurnMs()));
    this.#loopDelay.reset();
    const { utilization } = performance.eventLoopUtilization(this.#loopUse);
    this.#loopUse = performance.eventLoopUtilization();
    const load = { loopDelayMs, utilization, saturated: this.#options.saturated() };
    if (pace.observe(load, performance.now()))
      this.#options.log.warn({ ...pace.live, ...load }, 'pace of visitors changed');
  }

  #logError(error: unknown): void {
    // The owner of the store reports that the store is away. Present visitors stay.
    if (!isAwayCode((error as { code?: unknown }).code))
      this.#options.log.error({ err: error }, 'cannot check the sites of visitors');
  }

  /** Closes connections of visitors whose site was removed or no longer allows their origin. */
  async #checkSites(): Promise<void> {
    const sites = new Map<string, Awaited<ReturnType<IngestOptions['site']>>>();
    const keys = new Set([...this.#connections].map(({ newcomer }) => newcomer.contact.site));
    await forEachConcurrently(keys, SITES_AT_ONCE, async (key) => sites.set(key, await this.#options.site(key)));
    for (const connection of this.#connections) {
      const { contact, host } = connection.newcomer;
      if (!sites.has(contact.site)) continue;
      const site = sites.get(contact.site);
      if (!site) connection.close('siteGone', 'The site was removed.');
      else if (!isAllowedOrigin(site, contact.origin || undefined, host))
        connection.close('siteGone', 'This site does not allow that origin any more.');
    }
  }

  /**
   * Tells every visitor to connect again, elsewhere or later. Resolves when all connections are closed, at most two
   * seconds later. Closing twice is safe.
   */
  async close(reason: 'restart' | 'stop'): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) timer.stop();
    this.#loopDelay.disable();
    for (const connection of this.#connections) connection.close(reason === 'restart' ? 'restart' : 'goingAway');
    this.#beacons.close();
    await this.#untilEmpty();
  }

  #untilEmpty(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#connections.size === 0) return resolve();
      this.#whenEmpty = resolve;
      setTimeout(resolve, CLOSE_TIMEOUT_MS).unref();
    });
  }
}

/** Answers a handshake that ws rejects. Its messages name the field. */
function refuseHandshake({ message: detail }: Error, socket: Duplex, { method, headers }: IncomingMessage): void {
  if (method !== 'GET') {
    endWithProblem(socket, { status: 405, code: 'bad-method', detail, fields: { Allow: 'GET' } });
    return;
  }
  // RFC 6455 section 4.4.
  const isUnsupported = !WS_VERSIONS.includes(headers['sec-websocket-version'] ?? '');
  const headerFields = isUnsupported ? { 'Sec-WebSocket-Version': WS_VERSIONS.join(', ') } : {};
  endWithProblem(socket, {
    status: isUnsupported ? 426 : 400,
    code: isUnsupported ? 'upgrade-required' : 'bad-request',
    detail,
    fields: headerFields,
  });
}

type Refusal = [status: ProblemStatus, code: ProblemCode, detail: string];

function chooseProtocol(offered: ReadonlySet<string>): string | false {
  if (offered.has(SUBPROTOCOL.binary)) return SUBPROTOCOL.binary;
  return offered.has(SUBPROTOCOL.json) ? SUBPROTOCOL.json : false;
}

function resumeToken(offered: ReadonlySet<string>): string {
  for (const one of offered) if (one.startsWith(RESUME_PREFIX)) return one.slice(RESUME_PREFIX.length);
  return '';
}

/** What the URL says about the visitor; undefined if the page is too long. */
function contactOf(url: URL, origin: string | undefined): Omit<Contact, 'country'> | undefined {
  const page = withoutNul(url.searchParams.get('page') || '/');
  if (Buffer.byteLength(page) > MAX_TEXT.page) return undefined;
  return { site: siteOf(url), page, origin: origin ?? '' };
}

function siteOf(url: URL): string {
  return url.searchParams.get('site') ?? '';
}

function siteIn(request: IncomingMessage): string {
  const url = urlOf(request.url ?? '/');
  return url ? siteOf(url) : '';
}

function urlOf(text: string): URL | undefined {
  try {
    return new URL(text, 'http://localhost');
  } catch {
    return undefined;
  }
}
