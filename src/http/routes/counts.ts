/** Counts by page and by day, and the visitors present now. */
import { Type } from '@fastify/type-provider-typebox';
import { NO_COUNTS, type PageCounts } from '../../model/visit.ts';
import type { HttpOptions } from '../contract.ts';
import { comeBackLater } from '../problem.ts';
import { days, SiteKey, written } from '../query-fields.ts';
import { type HttpApp, LOOK, problems, shape } from '../schema.ts';

const counts = {
  views: Type.Number({ description: 'Number of times it was entered' }),
  visits: Type.Number({ description: 'Number of visits that include it' }),
  clicks: Type.Number(),
  moves: Type.Number(),
  ms: Type.Number({ description: 'Total time that visits stayed, in milliseconds' }),
  depth: Type.Number({ description: 'Sum over all views of the deepest page pixel in sight' }),
  measuredDepth: Type.Number({ description: 'The same sum over the views whose page height is known' }),
  measuredHeight: Type.Number({ description: 'Sum of the page heights of those views, in pixels' }),
};
const PageRow = shape({
  page: Type.String(),
  ...counts,
  now: Type.Number({ description: 'Visitors on the page now' }),
});
const DayRow = shape({ day: Type.String({ description: 'Such as 2026-11-20, in UTC' }), ...counts });

export function countRoutes(app: HttpApp, { archive, present }: HttpOptions): void {
  app.get(
    '/v1/pages',
    {
      config: LOOK,
      schema: {
        tags: ['counts'],
        summary: 'Counts per page, most viewed first, and per day',
        description: 'A page with current visitors is listed even if it has no counts yet.',
        querystring: shape({
          site: SiteKey,
          from: written('First day, such as 2026-11-20 (UTC); by default 29 days before the last'),
          to: written('Last day; today by default'),
        }),
        response: {
          200: shape({ pages: Type.Array(PageRow), days: Type.Array(DayRow) }),
          ...problems(400, 401, 404, 503),
        },
      },
    },
    async (request) => {
      const { site } = request.query;
      const range = days(request.query, Date.now());
      const [pages, perDay, here] = await Promise.all([
        archive.pages(site, range),
        archive.days(site, null, range),
        present(site),
      ]);
      if (here === undefined)
        throw comeBackLater(503, 'busy', 'The number of current visitors is temporarily unavailable.', 1000);
      return { pages: withPresent(pages, here), days: perDay };
    },
  );
}

function withPresent(pages: readonly PageCounts[], here: ReadonlyMap<string, number>) {
  const rest = new Map(here);
  const rows = pages.map((one) => {
    rest.delete(one.page);
    return { ...one, now: here.get(one.page) ?? 0 };
  });
  return [...rows, ...[...rest].map(([page, now]) => ({ page, ...NO_COUNTS, now }))];
}
