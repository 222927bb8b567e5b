/** Answers requests for files that are the same for everybody, before a route is looked up. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Asset, Encoding } from './asset.ts';

/** Called for each answered request. `route` is the pattern, because URLs contain secrets. */
export type AnswerNote = (fields: { method: string; route: string; status: number; ms: number }) => void;

/**
 * Returns a function that answers requests for files, by path. It returns whether it answered: other methods, other
 * paths, and other spellings of a path are for the routes.
 */
export function fixedFiles(
  files: ReadonlyMap<string, Asset>,
  note: AnswerNote | undefined,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    const { method, url = '' } = request;
    if (method !== 'GET' && method !== 'HEAD') return false;
    const query = url.indexOf('?');
    const path = query === -1 ? url : url.slice(0, query);
    const asset = files.get(path);
    if (asset === undefined) return false;
    if (note) noteWhenSent(note, method, path, response);
    answer(request, response, asset);
    return true;
  };
}

/** Sends the same response from a route. Headers that hooks have set stay unless the asset sets them. */
export function sendAsset(request: FastifyRequest, reply: FastifyReply, asset: Asset): FastifyReply {
  reply.hijack();
  answer(request.raw, reply.raw, asset);
  return reply;
}

/** Calls `note` when the response has been sent. */
export function noteWhenSent(note: AnswerNote, method: string, route: string, response: ServerResponse): void {
  const start = performance.now();
  response.once('finish', () => note({ method, route, status: response.statusCode, ms: performance.now() - start }));
}

/** Sends the asset in the best form that the client accepts, or 304. */
function answer({ method, headers }: IncomingMessage, response: ServerResponse, asset: Asset): void {
  const form = asset[encodingOf(headers['accept-encoding'])]();
  if (isKnown(headers['if-none-match'], form.tag)) response.writeHead(304, form.unchanged).end();
  else if (method === 'HEAD') response.writeHead(200, form.whole).end();
  else response.writeHead(200, form.whole).end(form.body);
}

const BROTLI = accepting('br');
const GZIP = accepting('gzip');

/** Matches a list that contains the name, unless its weight is zero (RFC 9110 section 12.4.2). */
export function accepting(name: string): RegExp {
  return new RegExp(String.raw`(?:^|[ \t,])${name}(?![ \t]*;[ \t]*q=0(?:\.0*)?[ \t]*(?:$|,))[ \t]*(?:$|[,;])`, 'i');
}

function encodingOf(accepted = ''): Encoding {
  return BROTLI.test(accepted) ? 'br' : GZIP.test(accepted) ? 'gzip' : 'identity';
}

export function isKnown(header: string | undefined, tag: string): boolean {
  if (header?.trim() === '*') return true;
  return header?.split(',').some((known) => known.trim().replace(/^W\//, '') === tag) ?? false;
}
