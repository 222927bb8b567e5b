/** The path under which a proxy mounts the server, such as `/stats`. */
import type { IncomingMessage } from 'node:http';

/** The prefix of a request target in absolute form (RFC 9112 section 3.2.2); servers have to accept it as well. */
const ORIGIN = /^https?:\/\/[^/?#]*/i;

/**
 * Returns a function that removes the base path from a request's URL. A URL without it stays unchanged: some proxies
 * keep the prefix, others remove it, and health checks reach the server directly.
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

/** Returns an HTML page of ours with the base path added to its URLs. */
export function mounted(html: string, basePath: string): string {
  return basePath === '' ? html : html.replace(/\b(href|src)="\/(?!\/)/g, `$1="${basePath}/`);
}
