/** Builds the HTTP app from all routes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import cookie from '@fastify/cookie';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { RawProblem } from '../server/raw-problem.ts';
import { guard, recogniser, refuseCrossSite, type SessionCookie, sessionCookie } from './auth/guard.ts';
import { baseRemover } from './base-path.ts';
import type { HttpOptions } from './contract.ts';
import { headFault } from './head.ts';
import { hitCounter, isHit } from './hit-counter.ts';
import { compilersFactory } from './lazy-schemas.ts';
import { type Client, peerReader } from './peer.ts';
import {
  answerClientError,
  comeBackLater,
  Problem,
  problemOf,
  type RaisedError,
  sendProblem,
  statusOf,
  writeProblem,
} from './problem.ts';
import { dropAdded } from './query-fields.ts';
import { adminRoutes } from './routes/admins.ts';
import { auditRoute } from './routes/audit.ts';
import { beaconRoutes } from './routes/beacon.ts';
import { countRoutes } from './routes/counts.ts';
import { healthRoutes } from './routes/health.ts';
import { heatmapRoutes } from './routes/heatmap.ts';
import { hitRoutes } from './routes/hits.ts';
import { metricsRoute } from './routes/metrics.ts';
import { replayRoute } from './routes/replay.ts';
import { sessionRoutes, signInRoutes } from './routes/session.ts';
import { siteRoutes } from './routes/sites.ts';
import { streamRoute } from './routes/stream.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { visitRoutes } from './routes/visits.ts';
import type { HttpApp } from './schema.ts';
import { DATA } from './security.ts';
import { pageRoutes, publicFolderOf } from './static/files.ts';
import { type AnswerNote, fixedFiles } from './static/fixed-files.ts';
import { type AnswerMissing, missingPage } from './static/not-found.ts';

export interface Http {
  /** Answers requests of any `http.Server`. */
  handler(request: IncomingMessage, response: ServerResponse): void;
  /** Answers a request with a problem, and closes the connection afterwards. */
  refuse(response: ServerResponse, problem: RawProblem): void;
  /** Answers bytes that are not an HTTP request: an `http.Server`'s `clientError` event. */
  clientError(error: NodeJS.ErrnoException, socket: Duplex): void;
  /** Closing twice is safe. */
  close(): Promise<void>;
}

/** Limit of API requests per address and minute in one worker. A dashboard's settings page makes 30. */
const API_RATE = { max: 600, timeWindow: 60_000 };

/** Log levels at which requests are logged. */
const NOTING_LEVELS = ['debug', 'trace'];

/** Prepares the routes for requests. Throws if the files for browsers are missing. */
export async function createHttp(options: HttpOptions): Promise<Http> {
  const { config, logger } = options;
  // At debug, so that logs do not fill the disk.
  const note: AnswerNote = ({ ms, ...fields }) => logger.debug({ ...fields, ms: Math.round(ms) }, 'request');
  const publicFolder = publicFolderOf(options);
  const answerMissing = missingPage(publicFolder, config);
  const app = createApp(options, note, answerMissing);
  const methods = collectMethods(app);
  await app.register(cookie);
  await app.register(swagger, { openapi: openapi(options.version, config.basePath) });
  const peerOf = peerReader(config);
  const recognise = recogniser(options);
  healthRoutes(app, options);
  const files = pageRoutes(app, publicFolder, options);
  const noteEach = NOTING_LEVELS.includes(config.logLevel) ? note : undefined;
  const answerFixed = fixedFiles(files, noteEach);
  const answerHit = hitCounter(options, peerOf, noteEach);
  await app.register(async (scope) => beaconRoutes(scope as HttpApp, options, peerOf));
  await app.register(async (scope) => hitRoutes(scope as HttpApp, answerHit));
  await app.register(async (scope) => apiRoutes(scope as HttpApp, options, peerOf, recognise));
  refuseMethods(app, methods);
  await app.ready();
  const removeBase = baseRemover(config.basePath);
  let closed: Promise<void> | undefined;
  return {
    handler: (request, response) => {
      removeBase(request);
      const fault = headFault(request);
      // `OPTIONS *` is about the server as a whole.
      if (request.url === '*') request.url = '/';
      if (fault !== undefined) refuse(response, fault);
      else if (isHit(request)) answerHit(request, response);
      else if (!answerFixed(request, response)) app.routing(request, response);
    },
    refuse,
    clientError: answerClientError,
    close: () => (closed ??= app.close()),
  };
}

/** Answers a request that is invalid for any target, and closes the connection afterwards. */
function refuse(response: ServerResponse, { status, code, detail = '', fields }: RawProblem): void {
  writeProblem(response, new Problem(status, code, detail, { ...fields, connection: 'close' }), DATA, false);
}

/** Routes for the record. */
const RECORD = [visitRoutes, countRoutes, heatmapRoutes, replayRoute];

/** The API for people and programs; all routes except signing in require authentication. */
async function apiRoutes(
  app: HttpApp,
  options: HttpOptions,
  peerOf: ReturnType<typeof peerReader>,
  recognise: ReturnType<typeof recogniser>,
): Promise<void> {
  await app.register(rateLimit, { global: false });
  // Before everything else, so that requests refused for another reason are counted too.
  const limit = app.rateLimit({
    ...API_RATE,
    keyGenerator: ({ client }) => client.address,
    errorResponseBuilder: (_request, { ttl }) => comeBackLater(429, 'too-many-requests', 'Too many requests.', ttl),
  });
  app.decorateRequest('identity', null);
  app.decorateRequest('site', undefined);
  app.decorateRequest('client', null as unknown as Client);
  app.decorateRequest('sessionCookie', null as unknown as SessionCookie);
  app.addHook('onRequest', async (request) => {
    request.client = peerOf(request.raw);
    request.sessionCookie = sessionCookie(request.client, options.config.basePath);
  });
  app.addHook('onRequest', limit);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store');
    refuseCrossSite(request);
  });
  app.addHook('preValidation', async ({ query }) => dropAdded(query as object));
  signInRoutes(app, { options, recognise });
  metricsRoute(app, options, recognise);
  streamRoute(app, options, recognise);
  app.get('/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  await app.register(async (scope) => {
    guard(scope as HttpApp, options.store, recognise);
    for (const routes of [sessionRoutes, adminRoutes, tokenRoutes, auditRoute, siteRoutes, ...RECORD])
      routes(scope as HttpApp, options);
  });
}

function createApp({ config, logger }: HttpOptions, note: AnswerNote, answerMissing: AnswerMissing): HttpApp {
  const { development } = config;
  const app = fastify({
    bodyLimit: config.maxBody,
    routerOptions: { ignoreTrailingSlash: true },
    schemaController: { compilersFactory },
    // Invalid input is refused, not coerced.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    frameworkErrors: (error, request, reply) => void answerMissing(request, reply, error),
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.removeContentTypeParser('text/plain');
  app.setErrorHandler<RaisedError>((raised, request, reply) => {
    const error = problemOf(raised);
    const fields = { err: error, method: request.method, route: request.routeOptions.url ?? 'none' };
    if (raised.code === 'damaged') logger.error({ reason: raised.message }, 'part of the store cannot be read');
    if (statusOf(error) >= 500 && !(error instanceof Problem)) logger.error(fields, 'request failed');
    return sendProblem(reply, error, development);
  });
  app.setNotFoundHandler((request, reply) =>
    request.method === 'OPTIONS' ? tellMethods(reply, ['GET', 'HEAD']) : answerMissing(request, reply),
  );
  app.addHook('onRequest', (request, reply, done) => {
    // Set before anything can fail, so that errors have them too.
    for (const [name, value] of request.routeOptions.config.security ?? DATA) reply.raw.setHeader(name, value);
    done();
  });
  app.addHook('onResponse', async ({ method, routeOptions }, reply) => {
    note({ method, route: routeOptions.url ?? 'none', status: reply.statusCode, ms: reply.elapsedTime });
  });
  return app;
}

/** Records the methods of each route added from now on. */
function collectMethods(app: HttpApp): ReadonlyMap<string, Set<string>> {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methods.set(url, known);
  });
  return methods;
}

/**
 * Fastify answers 404 if a path does not support a method; RFC 9110 section 15.5.6 requires 405 and Allow. OPTIONS is
 * answered for every path (section 9.3.7), even an unknown one: load balancers use it to check whether a server is
 * alive.
 */
function refuseMethods(app: HttpApp, methods: ReadonlyMap<string, Set<string>>): void {
  // Copies, because routes that are added here are recorded, too.
  for (const [url, known] of [...methods].map(([path, set]) => [path, new Set(set)] as const)) {
    const tell = async (_request: FastifyRequest, reply: FastifyReply) => tellMethods(reply, [...known]);
    if (!known.has('OPTIONS'))
      app.route({ method: 'OPTIONS', url, onRequest: tell, handler: tell, schema: { hide: true } });
    const method = app.supportedMethods.filter((one) => one !== 'OPTIONS' && !known.has(one));
    const allow = [...known].sort().join(', ');
    const refuse = async () => {
      throw new Problem(405, 'bad-method', `Use ${allow}.`, { allow });
    };
    // Before the body is read, which may be anything.
    app.route({ method, url, onRequest: refuse, handler: refuse, schema: { hide: true } });
  }
}

/** The response to OPTIONS. It allows other origins nothing. */
function tellMethods(reply: FastifyReply, methods: readonly string[]): FastifyReply {
  return reply
    .code(204)
    .header('allow', [...methods, 'OPTIONS'].sort().join(', '))
    .send();
}

function openapi(version: string, basePath: string) {
  return {
    openapi: '3.1.0',
    ...(basePath !== '' && { servers: [{ url: basePath }] }),
    info: { title: 'Fieldmouse', version, description: 'Errors are RFC 9457 problems. Times are Unix ms.' },
    components: {
      securitySchemes: {
        token: { type: 'http' as const, scheme: 'bearer' },
        session: { type: 'apiKey' as const, in: 'cookie' as const, name: 'fieldmouse' },
      },
    },
    security: [{ token: [] }, { session: [] }],
  };
}
