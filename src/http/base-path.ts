/** The path that the server is mounted under by a proxy in front, as `/stats`. */
import type { IncomingMessage } from 'node:http';

/**
 * What a request for a proxy has before its path (RFC 9112 section 3.2.2, absolute-form); servers have to take it as
 * well.
 */
const ORIGIN = /^https?:\/\/[^/?#]*/i;

/**
 * Makes what takes the base path off a request's address. An address without it stays: some proxies keep the prefix, others
 * take it off, and health checks ask the server itself.
 */
export function baseRemover(basePath: string): (request: IncomingMessage) => void {
  if (basePath === '') return () => {};
  return (request) => {
    const url = (request.url ?? '').replace(ORIGIN, '');
    if (!url.startsWith(basePath)) return;
    const rest = url.slice(basePath.length);
    if (rest.startsWith('/')) request.url = rest;
    else if (rest === '' || rest.startsWith('?')) request.url = `/${rest}`;
  };
}

/** An HTML page of ours with the base path before the addresses in it. */
export function mounted(html: string, basePath: string): string {
  return basePath === '' ? html : html.replace(/\b(href|src)="\/(?!\/)/g, `$1="${basePath}/`);
}
