/**
 * A file that is served from memory, uncompressed and compressed. Each form, with its headers, is made on first use.
 */
import { createHash } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { lazy } from '../../lib/lazy.ts';
import { type Fields, flat } from '../security.ts';

export type Encoding = 'br' | 'gzip' | 'identity';

/** The file in one encoding. */
export interface Form {
  body: Buffer;
  /** Strong, and different for each form (RFC 9110 section 8.8.3.3). */
  tag: string;
  /** Headers of a response with the file, names and values in turn. */
  whole: string[];
  /** Headers of a 304 response, which has none that describes a body (RFC 9110 section 15.4.5). */
  unchanged: string[];
}

export type Asset = Readonly<Record<Encoding, () => Form>>;

export interface AssetOptions {
  type: string;
  cacheControl: string;
  /** Sent before the file's own headers, with a 304 too. */
  fields: Fields;
  /** The compressed content, if the build has made it. */
  br?: Buffer | undefined;
  gzip?: Buffer | undefined;
}

/** Builds the responses of a file. */
export function makeAsset(content: string | Buffer, options: AssetOptions): Asset {
  const { type, cacheControl, fields } = options;
  const plain = Buffer.from(content);
  const hash = lazy(() => createHash('sha256').update(plain).digest('base64url').slice(0, 22));
  return {
    identity: lazy(() => form(plain, `"${hash()}"`)),
    br: lazy(() => form(options.br ?? brotliCompressSync(plain), `"${hash()}-br"`, 'br')),
    gzip: lazy(() => form(options.gzip ?? gzipSync(plain, { level: 9 }), `"${hash()}-gzip"`, 'gzip')),
  };

  function form(body: Buffer, tag: string, encoding?: Encoding): Form {
    const unchanged = [...flat(fields), 'etag', tag, 'cache-control', cacheControl, 'vary', 'Accept-Encoding'];
    const coding = encoding ? ['content-encoding', encoding] : [];
    const whole = [...unchanged, ...coding, 'content-type', type, 'content-length', String(body.length)];
    return { body, tag, whole, unchanged };
  }
}
