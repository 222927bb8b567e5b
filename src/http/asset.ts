/** A file that is served from memory, as it is and compressed, with all its answers made at the start. */
import { createHash } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { Fields } from './security.ts';

export type Encoding = 'br' | 'gzip' | 'identity';

/** The file in one encoding. */
export interface Form {
  body: Buffer;
  /** Strong, and not that of another form (RFC 9110 section 8.8.3.3). */
  tag: string;
  /** Headers with the file, names and values in turn. */
  whole: string[];
  /** Headers of a 304, which has no part that describes a body (RFC 9110 section 15.4.5). */
  unchanged: string[];
}

export type Asset = Record<Encoding, Form>;

export interface AssetOptions {
  type: string;
  cacheControl: string;
  /** Sent before its own, with a 304 too. */
  fields: Fields;
  /** The content compressed, where that was done already. */
  br?: Buffer | undefined;
  gzip?: Buffer | undefined;
}

/** Compresses the content and makes the headers of every answer. */
export function makeAsset(content: string | Buffer, options: AssetOptions): Asset {
  const { type, cacheControl, fields } = options;
  const plain = Buffer.from(content);
  const hash = createHash('sha256').update(plain).digest('base64url').slice(0, 22);
  return {
    identity: form(plain, `"${hash}"`),
    br: form(options.br ?? brotliCompressSync(plain), `"${hash}-br"`, 'br'),
    gzip: form(options.gzip ?? gzipSync(plain, { level: 9 }), `"${hash}-gzip"`, 'gzip'),
  };

  function form(body: Buffer, tag: string, encoding?: Encoding): Form {
    const unchanged = [...fields.flat(), 'etag', tag, 'cache-control', cacheControl, 'vary', 'Accept-Encoding'];
    const coding = encoding ? ['content-encoding', encoding] : [];
    const whole = [...unchanged, ...coding, 'content-type', type, 'content-length', String(body.length)];
    return { body, tag, whole, unchanged };
  }
}
