/** A file that is served from memory, as it is and compressed. */
import { createHash } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';

export interface Asset {
  type: string;
  cacheControl: string;
  plain: Buffer;
  brotli: Buffer;
  gzip: Buffer;
  /** Strong, of the plain form; each compressed form has its own (RFC 9110 section 8.8.3.3). */
  tag: string;
}

export function makeAsset(text: string, type: string, cacheControl: string): Asset {
  const plain = Buffer.from(text);
  const tag = createHash('sha256').update(plain).digest('base64url').slice(0, 22);
  return { type, cacheControl, plain, brotli: brotliCompressSync(plain), gzip: gzipSync(plain, { level: 9 }), tag };
}

/** Answers with the asset, in the best form that the client reads, or 304. */
export function sendAsset(request: FastifyRequest, reply: FastifyReply, asset: Asset): FastifyReply {
  const encoding = encodingOf(request.headers['accept-encoding']);
  const tag = `"${asset.tag}${encoding ? `-${encoding}` : ''}"`;
  reply.headers({ etag: tag, 'cache-control': asset.cacheControl, vary: 'Accept-Encoding' });
  if (isKnown(request.headers['if-none-match'], tag)) return reply.code(304).send();
  if (encoding) reply.header('content-encoding', encoding);
  return reply.type(asset.type).send(encoding === 'br' ? asset.brotli : encoding === 'gzip' ? asset.gzip : asset.plain);
}

const BROTLI = accepting('br');
const GZIP = accepting('gzip');

/** Matches a list that has the name, unless its weight is nought (RFC 9110 section 12.4.2). */
function accepting(name: string): RegExp {
  return new RegExp(String.raw`(?:^|[ \t,])${name}(?![ \t]*;[ \t]*q=0(?:\.0*)?[ \t]*(?:$|,))[ \t]*(?:$|[,;])`, 'i');
}

function encodingOf(accepted = ''): 'br' | 'gzip' | undefined {
  return BROTLI.test(accepted) ? 'br' : GZIP.test(accepted) ? 'gzip' : undefined;
}

function isKnown(header: string | undefined, tag: string): boolean {
  return (header ?? '').split(',').some((known) => known.trim().replace(/^W\//, '') === tag);
}
