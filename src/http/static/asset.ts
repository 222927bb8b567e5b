/** A file that is served from memory, as it is and compressed. Each form, with its answers, is made when it is first asked for. */
import { createHash } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { lazy } from '../../lib/lazy.ts';
import { type Fields, flat } from '../security.ts';

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

export type Asset = Readonly<Record<Encoding, () => Form>>;

export interface AssetOptions {
  type: string;
  cacheControl: string;
  /** Sent before its own, with a 304 too. */
  fields: Fields;
  /** The content compressed, where that was done already. */
  br?: Buffer | undefined;
  gzip?: Buffer | undefined;
}

/** Makes the answers of a file. */
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
