/** The routes, put together. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify from 'fastify';
import { beaconRoutes } from './beacon.ts';
import type { HttpOptions } from './contract.ts';
import { recogniser, refuseCrossSite, signedOut } from './guard.ts';
import { healthRoutes } from './health.ts';
import { pageRoutes } from './pages.ts';
import { peerReader, trustOf } from './peer.ts';
import { comeBackLater, Problem, type RaisedError, sendProblem, statusOf } from './problem.ts';
import type { App } from './schema.ts';
import { sessionRoutes, signInRoutes } from './session.ts';
import { siteRoutes } from './sites.ts';
import { streamRoute } from './stream.ts';
import { tokenRoutes } from './tokens.ts';

export interface Http {
  /** Answers requests of any `http.Server`. */
  handler(request: IncomingMessage, response: ServerResponse): void;
  /** Closing twice is safe. */
  close(): Promise<void>;
}

/** API requests of one address within a minute, in one worker. A dashboard's settings page makes 30. */
const API_RATE = { max: 600, timeWindow: 60_000 };

/** Nothing of an answer is to be shown or run by a browser, unless a route says otherwise. */
const DATA_POLICY = { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] };

/** Makes the routes ready for requests. Throws when the files for browsers are missing. */
export async function createHttp(options: HttpOptions): Promise<Http> {
  const { config, logger } = options;
  const app = createApp(options);
  const missing = collectMethods(app);
  await app.register(cookie);
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: DATA_POLICY },
    frameguard: { action: 'deny' },
    // Whether a host is to be reached by https only is for whoever runs it to say, with its other services.
    strictTransportSecurity: false,
  });
  await app.register(swagger, { openapi: openapi(options.version) });
  const peerOf = peerReader(config.trustProxy);
  const recognise = recogniser(options);
  app.decorateRequest('identity', null);
  healthRoutes(app, options);
  await pageRoutes(app, options, recognise);
  await app.register(async (scope) => beaconRoutes(scope as App, options, peerOf));
  await app.register(async (scope) => {
    await scope.register(rateLimit, {
      ...API_RATE,
      keyGenerator: (request) => peerOf(request.raw).address,
      errorResponseBuilder: (_request, { ttl }) => comeBackLater(429, 'too-many-requests', 'Too many requests.', ttl),
    });
    scope.addHook('onRequest', async (request, reply) => {
      reply.header('cache-control', 'no-store');
      refuseCrossSite(request, peerOf(request.raw).host);
    });
    const addressOf = (request: { raw: IncomingMessage }) => peerOf(request.raw).address;
    signInRoutes(scope as App, { options, recognise, addressOf });
    scope.get('/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger());
    await scope.register(async (inner) => {
      inner.addHook('onRequest', async (request) => {
        request.identity = (await recognise(request)) ?? null;
        if (request.identity === null) throw signedOut();
      });
      sessionRoutes(inner as App, options);
      tokenRoutes(inner as App, options);
      siteRoutes(inner as App, options);
      streamRoute(inner as App, options);
    });
  });
  refuseMethods(app, missing());
  app.addHook('onResponse', async (request, reply) => {
    // At debug, so that logs do not fill the disk; the pattern, because addresses hold secrets.
    const route = request.routeOptions.url ?? 'none';
    logger.debug(
      { method: request.method, route, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'request',
    );
  });
  await app.ready();
  let closed: Promise<void> | undefined;
  return {
    handler: (request, response) => app.routing(request, response),
    close: () => (closed ??= app.close()),
  };
}

function createApp({ config, logger }: HttpOptions): App {
  const { development } = config;
  const app = fastify({
    bodyLimit: config.maxBody,
    trustProxy: trustOf(config.trustProxy) as (address: string, hop: number) => boolean,
    routerOptions: { ignoreTrailingSlash: true },
    // Input is refused when it is wrong, not bent until it is right.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, error, development),
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.removeContentTypeParser('text/plain');
  app.setErrorHandler<RaisedError>((error, request, reply) => {
    const fields = { err: error, method: request.method, route: request.routeOptions.url ?? 'none' };
    if (statusOf(error) >= 500 && !(error instanceof Problem)) logger.error(fields, 'request failed');
    return sendProblem(reply, error, development);
  });
  app.setNotFoundHandler(() => {
    throw new Problem(404, 'not-found', 'There is nothing here.');
  });
  return app;
}

/** Notes the methods of each route added from now on. */
function collectMethods(app: App): () => Map<string, Set<string>> {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methods.set(url, known);
  });
  return () => new Map(methods);
}

/** Fastify answers 404 for a method that a path does not know; RFC 9110 section 15.5.6 wants 405 and Allow. */
function refuseMethods(app: App, methods: Map<string, Set<string>>): void {
  for (const [url, known] of methods) {
    const method = app.supportedMethods.filter((one) => !known.has(one));
    const allow = [...known].sort().join(', ');
    const refuse = async () => {
      throw new Problem(405, 'bad-method', `This takes ${allow}.`, { allow });
    };
    // Before the body is looked at, which may be anything.
    app.route({ method, url, onRequest: refuse, handler: refuse, schema: { hide: true } });
  }
}

function openapi(version: string) {
  return {
    openapi: '3.1.0',
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
