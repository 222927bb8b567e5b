/** Heatmaps: as numbers, as compact bytes, and as an image to lay over the page. */
import { createHash } from 'node:crypto';
import { type Static, Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { encodeHeat } from '../../heat/bytes.ts';
import { extentOf, renderHeat } from '../../heat/picture.ts';
import { HEAT_KINDS, type Heat, type HeatKind } from '../../model/heat.ts';
import type { HeatQuery } from '../../model/query.ts';
import type { HttpOptions, RecordArchive } from '../contract.ts';
import { Pictures } from '../pictures.ts';
import { days, Page, SiteKey, whole, written } from '../query-fields.ts';
import { DEVICE_NAMES, EmptyBody, type HttpApp, LOOK, problems, shape } from '../schema.ts';
import { SharedAnswers } from '../shared-answers.ts';
import { isKnown } from '../static/fixed-files.ts';

const BINARY = 'application/octet-stream';
const LARGEST_SCALE = 64;

const tags = ['heatmaps'];
const what = {
  site: SiteKey,
  page: Page,
  from: written('First day, such as 2026-11-20 (UTC); by default 29 days before the last'),
  to: written('Last day; today by default'),
  kind: Type.Optional(Type.Enum([...HEAT_KINDS], { description: 'move by default' })),
  width: Type.Optional(Type.Enum([...DEVICE_NAMES], { description: 'Only windows of this width class' })),
};
const What = shape(what);

export function heatmapRoutes(app: HttpApp, { archive }: HttpOptions): void {
  numbersRoute(app, archive);
  pictureRoute(app, archive);
}

const Numbers = Type.Array(Type.Number());
const HeatShape = shape({
  views: Type.Number({ description: 'Number of views included' }),
  cells: Type.Array(Type.Number(), {
    description: 'move, click: flat list of column, row, count, in cells of 16 pixels; scroll: flat list of row, views',
  }),
  total: Type.Number(),
  most: Type.Number({ description: 'The largest count' }),
  extent: Type.Array(Type.Number(), {
    minItems: 2,
    maxItems: 2,
    description: 'Width and height of the page in page pixels; the picture covers this area',
  }),
  elements: Type.Array(shape({ selector: Type.String(), count: Type.Number(), spots: Numbers }), {
    description:
      'For clicks: the most clicked elements; spots are a flat list of column, row, count on a 16 by 16 grid',
  }),
});

const HEAT = {
  description: 'The heatmap',
  content: {
    'application/json': { schema: HeatShape },
    [BINARY]: { schema: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) },
  },
};

function numbersRoute(app: HttpApp, archive: RecordArchive): void {
  const bodies = new SharedAnswers<Buffer>();
  app.get(
    '/v1/heatmap',
    {
      config: LOOK,
      schema: {
        tags,
        summary: 'Where visitors moved or clicked on a page, or how deep they scrolled',
        description: `As JSON, or with \`Accept: ${BINARY}\` or \`format=binary\` as bytes; see docs/protocol.md.`,
        querystring: shape({ ...what, format: Type.Optional(Type.Enum(['json', 'binary'])) }),
        response: { 200: HEAT, ...problems(400, 401, 404) },
      },
    },
    async (request, reply) => {
      const { format, ...asked } = request.query;
      const isBinary = wantsBytes(request, format);
      const body = await bodies.get(JSON.stringify([isBinary, asked]), async () => {
        const { query, heat } = await load(archive, asked);
        return isBinary ? Buffer.from(encodeHeat(query.kind, heat)) : Buffer.from(JSON.stringify(heat));
      });
      reply.header('vary', 'Accept');
      return reply.type(isBinary ? BINARY : 'application/json; charset=utf-8').send(body as never);
    },
  );
}

function wantsBytes({ headers }: FastifyRequest, format: 'json' | 'binary' | undefined): boolean {
  return format === undefined ? (headers.accept ?? '').includes(BINARY) : format === 'binary';
}

/** Buffers are sent unchanged. */
const PNG = {
  description: 'The picture',
  content: { 'image/png': { schema: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) } },
};

function pictureRoute(app: HttpApp, archive: RecordArchive): void {
  const pictures = new Pictures();
  app.get(
    '/v1/heatmap.png',
    {
      config: LOOK,
      schema: {
        tags,
        summary: 'The heatmap as a picture that covers the page',
        produces: ['image/png'],
        querystring: shape({
          ...what,
          scale: written(
            `Page pixels per picture pixel, 1 to ${LARGEST_SCALE}; larger if the picture would be too large`,
          ),
        }),
        response: { 200: PNG, 304: EmptyBody, ...problems(400, 401, 404, 503) },
      },
    },
    async (request, reply) => {
      const scale = whole('scale', request.query.scale, 1, LARGEST_SCALE) ?? 1;
      const { query, heat } = await load(archive, request.query);
      const tag = tagOf(query.kind, heat, scale);
      reply.headers({ etag: tag, 'cache-control': 'private, no-cache' });
      if (isKnown(request.headers['if-none-match'], tag)) return reply.code(304).send(null);
      const picture = await pictures.get(tag, () => renderHeat(query.kind, heat, scale));
      return reply.type('image/png').send(picture);
    },
  );
}

async function load(archive: RecordArchive, asked: Static<typeof What>): Promise<{ query: HeatQuery; heat: Heat }> {
  const { site, page, kind = 'move', width } = asked;
  const query = { site, page, kind, ...days(asked, Date.now()), ...(width !== undefined && { device: width }) };
  const heat = await archive.heat(query);
  return { query, heat: { ...heat, extent: extentOf(kind, heat) } };
}

/** Two images of the same counts are equal, so the tag needs no rendering. */
function tagOf(kind: HeatKind, { extent, cells }: Heat, scale: number): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([PICTURE_VERSION, kind, extent, scale]));
  hash.update(Float64Array.from(cells));
  return `"${hash.digest('base64url').slice(0, 22)}"`;
}

/** Change it when the look of images changes: browsers send the tag of their cached image. */
const PICTURE_VERSION = 2;
