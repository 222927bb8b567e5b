/** Sites, and the script tag that a page needs. */
import { Type } from '@fastify/type-provider-typebox';
import { sees } from '../../model/rights.ts';
import { normalOrigin, ORIGIN_EXAMPLES, SITE_KEY, SITE_LIMIT } from '../../model/site.ts';
import { requestRights, unknownSite } from '../auth/guard.ts';
import type { HttpOptions } from '../contract.ts';
import { Problem } from '../problem.ts';
import { EmptyBody, type HttpApp, Label, LOOK, MANAGE, shape, Time, TimeOrNull, trimmedName } from '../schema.ts';
import { noteOf } from './audit.ts';

const tags = ['sites'];

const Key = Type.String({ pattern: SITE_KEY.source, description: 'Identifies the site in the snippet' });
const Origins = Type.Array(Type.String({ maxLength: 256 }), {
  maxItems: SITE_LIMIT.origins,
  description:
    'Each scheme://host[:port], or "self" for the origin of the server. https://*.example.org allows any one label in place of *, ' +
    'http://localhost:* any port',
});
const Refused = shape({
  site: Type.String({ description: 'Key of the site; for unknown-site the key that was given' }),
  origin: Type.String({
    description: 'Origin of the page; `null` for a sandboxed frame or a file, empty if it is not known',
  }),
  reason: Type.String({ description: 'The code of the problem that the visitor got' }),
  count: Type.Number(),
  last: Time,
});
const Site = shape({ key: Key, name: Type.String(), origins: Origins, created: Time, firstSeen: TimeOrNull });

export function siteRoutes(app: HttpApp, options: HttpOptions): void {
  for (const route of [listSites, addSite, changeSite, removeSite, listRefusals, serverRoute]) route(app, options);
}

function listSites(app: HttpApp, { store }: HttpOptions): void {
  app.get(
    '/v1/sites',
    {
      config: LOOK,
      schema: {
        tags,
        summary: 'All sites that the caller can see',
        response: { 200: shape({ sites: Type.Array(Site) }) },
      },
    },
    async (request) => {
      const rights = requestRights(request);
      return { sites: (await store.sites()).filter(({ key }) => sees(rights, key)) };
    },
  );
}

function addSite(app: HttpApp, { store }: HttpOptions): void {
  app.post(
    '/v1/sites',
    {
      config: MANAGE,
      schema: {
        tags,
        summary: 'Add a site',
        body: shape({ key: Key, name: Label, origins: Origins }),
        response: { 201: Site },
      },
    },
    async (request, reply) => {
      const { key, origins } = request.body;
      const site = {
        key,
        name: trimmedName(request.body),
        origins: checkOrigins(origins),
        created: Date.now(),
        firstSeen: null,
      };
      if (!(await store.addSite(site, noteOf(request, 'site-added', key))))
        throw new Problem(409, 'site-exists', `Site ${key} already exists.`);
      reply.code(201);
      return site;
    },
  );
}

function changeSite(app: HttpApp, { store }: HttpOptions): void {
  app.put(
    '/v1/sites/:key',
    {
      config: MANAGE,
      schema: {
        tags,
        summary: "Change a site's name and origins",
        params: shape({ key: Key }),
        body: shape({ name: Label, origins: Origins }),
        response: { 200: Site },
      },
    },
    async (request) => {
      const { origins } = request.body;
      const { key } = request.params;
      const change = { name: trimmedName(request.body), origins: checkOrigins(origins) };
      const site = await store.changeSite(key, change, noteOf(request, 'site-changed', key));
      if (site === undefined) throw unknownSite();
      return site;
    },
  );
}

function removeSite(app: HttpApp, { store }: HttpOptions): void {
  app.delete(
    '/v1/sites/:key',
    {
      config: MANAGE,
      schema: { tags, summary: 'Remove a site', params: shape({ key: Key }), response: { 204: EmptyBody } },
    },
    async (request, reply) => {
      const { key } = request.params;
      if (!(await store.removeSite(key, Date.now(), noteOf(request, 'site-removed', key)))) throw unknownSite();
      return reply.code(204).send(null);
    },
  );
}

function listRefusals(app: HttpApp, { store }: HttpOptions): void {
  app.get(
    '/v1/refusals',
    {
      config: MANAGE,
      schema: {
        tags,
        summary: 'Visitors that were refused in the last 7 days, by site, origin and reason',
        response: { 200: shape({ refusals: Type.Array(Refused) }) },
      },
    },
    async () => ({ refusals: await store.refusals(Date.now()) }),
  );
}

function serverRoute(app: HttpApp, { config, version }: HttpOptions): void {
  app.get(
    '/v1/server',
    {
      config: LOOK,
      schema: {
        tags,
        summary: 'Version, and the paths that the snippet uses',
        response: { 200: shape({ version: Type.String(), scriptPath: Type.String(), endpoint: Type.String() }) },
      },
    },
    async () => ({
      version,
      scriptPath: config.basePath + config.scriptPath,
      endpoint: config.basePath + config.endpoint,
    }),
  );
}

/** The origins in the form that browsers send, without duplicates. */
function checkOrigins(origins: readonly string[]): string[] {
  const normal = origins.map((text) => {
    const origin = normalOrigin(text.trim());
    if (origin === undefined)
      throw new Problem(400, 'bad-origin', `${text} is not an origin; write it as ${ORIGIN_EXAMPLES}`);
    return origin;
  });
  return [...new Set(normal)];
}
