/**
 * Paths that the server uses itself, with all paths below them: neither the visitor script nor the visitor endpoint may
 * be moved there. A new route adds its path here; test/http.test.ts finds one that is missing.
 */
const RESERVED_PATHS = [
  '/admin',
  '/healthz',
  '/metrics',
  '/readyz',
  '/v1/admins',
  '/v1/audit',
  '/v1/heatmap',
  '/v1/heatmap.png',
  '/v1/hits',
  '/v1/openapi.json',
  '/v1/pages',
  '/v1/password',
  '/v1/refusals',
  '/v1/replay',
  '/v1/server',
  '/v1/session',
  '/v1/sessions',
  '/v1/sites',
  '/v1/stream',
  '/v1/tokens',
  '/v1/visits',
] as const;

/** Whether the server uses `path` (without the base path) itself. */
export function isReserved(path: string): boolean {
  return RESERVED_PATHS.some((reserved) => path === reserved || path.startsWith(`${reserved}/`));
}
