/** Who sends a request, as far as proxies in front of us can be believed. */
import type { IncomingMessage } from 'node:http';
import { isIPv4 } from 'node:net';
import proxyAddress from '@fastify/proxy-addr';
import ipaddr from 'ipaddr.js';
import type { Config } from '../config.ts';
import type { Peer } from '../protocol/post.ts';

/** Makes the reader of a request's peer. X-Forwarded-For and -Host, and the country, count only where `trustProxy` allows. */
export function peerReader({
  trustProxy,
  countryHeader,
}: Pick<Config, 'trustProxy' | 'countryHeader'>): (request: IncomingMessage) => Peer {
  const trusts = trustOf(trustProxy);
  return (request) => {
    const isTrusted = trusts(request.socket.remoteAddress ?? '', 0);
    const forwardedHost = isTrusted ? header(request, 'x-forwarded-host') : undefined;
    const country = isTrusted && countryHeader !== '' ? header(request, countryHeader) : undefined;
    return {
      address: addressGroup(proxyAddress(request, trusts)),
      host: forwardedHost ?? request.headers.host,
      country: countryOf(country),
    };
  };
}

/** Proxies write XX or T1 where they do not know. */
function countryOf(text = ''): string {
  const country = text.toUpperCase();
  return /^[A-Z]{2}$/.test(country) && country !== 'XX' ? country : '';
}

export function trustOf(trustProxy: Config['trustProxy']): (address: string | undefined, hop: number) => boolean {
  if (typeof trustProxy === 'boolean') return () => trustProxy;
  const listed = proxyAddress.compile([...trustProxy]);
  // A request over a Unix socket has no address; only somebody on this machine can send it.
  return (address, hop) => !address || listed(address, hop);
}

/** The nearest value of a list that proxies append to. */
function header(request: IncomingMessage, name: string): string | undefined {
  return (
    String(request.headers[name] ?? '')
      .split(',')
      .at(-1)
      ?.trim() || undefined
  );
}

/** What counts as one address in limits: of IPv6 the first 64 bits. */
export function addressGroup(address: string): string {
  // Most are, and to parse each costs as much as a read of the store.
  if (isIPv4(address)) return address;
  if (!ipaddr.isValid(address)) return address || 'local';
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return parsed.toByteArray().slice(0, 8).join('.');
}
