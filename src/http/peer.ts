/** Who sent a request, as far as the proxies in front of us are trusted. Nothing else reads the headers of proxies. */
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4 } from 'node:net';
import proxyAddress from '@fastify/proxy-addr';
import ipaddr from 'ipaddr.js';
import type { Config } from '../config/config.ts';
import type { Peer } from '../protocol/post.ts';
import { countryFinder } from './country.ts';

export interface Client extends Peer {
  /** The client reached the proxy, or us, over https. */
  isSecure: boolean;
}

type Trusts = (address: string | undefined, hop: number) => boolean;

/**
 * Returns a function that reads the client of a request. X-Forwarded-For, -Host and -Proto, and the country, count only
 * if `trustProxy` allows it.
 */
export function peerReader({
  trustProxy,
  countryHeader,
  geo,
}: Pick<Config, 'trustProxy' | 'countryHeader' | 'geo'>): (request: IncomingMessage) => Client {
  const trusts = trustOf(trustProxy);
  const find = countryFinder(geo);
  return (request) => {
    const isTrusted = trusts(request.socket.remoteAddress ?? '', 0);
    const forwarded = (name: string) => (isTrusted && name !== '' ? header(request, name) : undefined);
    const address = addressOf(request, trusts);
    return {
      address: addressGroup(address),
      host: forwarded('x-forwarded-host') ?? request.headers.host,
      // Looked up when it is read: only visitors that are let in need it.
      get country() {
        return countryOf(forwarded(countryHeader)) || find(address);
      },
      isSecure: forwarded('x-forwarded-proto')?.toLowerCase() === 'https',
    };
  };
}

/**
 * The first address, from the server outwards, that is not a trusted proxy. A text that is not an address ends the
 * search: then the sender of that text counts, so that nobody gets a limit of its own by sending random texts.
 */
function addressOf({ socket, headers }: IncomingMessage, trusts: Trusts): string {
  let address = socket.remoteAddress ?? '';
  const list = headers['x-forwarded-for'];
  if (list === undefined) return address;
  const hops = String(list).split(',').reverse();
  for (const [hop, text] of hops.entries()) {
    if (text.trim() === '') continue;
    if (!trusts(address, hop)) break;
    const next = readAddress(text);
    if (next === undefined) break;
    address = next;
  }
  return address;
}

/**
 * The IP address in a proxy's header: alone, with a port, or an IPv6 address in brackets with or without a port, also
 * in quotes (RFC 7239 section 6). Undefined for everything else.
 */
export function readAddress(text: string): string | undefined {
  const bare = text.trim().replace(/^"(.*)"$/, '$1');
  if (isIP(bare) !== 0) return bare;
  const [, v6, v4] = /^(?:\[([^\]]+)\]|([\d.]+))(?::\d{1,5})?$/.exec(bare) ?? [];
  return isIP(v6 ?? v4 ?? '') === (v6 === undefined ? 4 : 6) ? (v6 ?? v4) : undefined;
}

/** Proxies write XX or T1 if they do not know the country. */
function countryOf(text = ''): string {
  const country = text.toUpperCase();
  return /^[A-Z]{2}$/.test(country) && country !== 'XX' ? country : '';
}

export function trustOf(trustProxy: Config['trustProxy']): Trusts {
  if (typeof trustProxy === 'boolean') return () => trustProxy;
  const listed = proxyAddress.compile([...trustProxy]);
  // A request over a Unix socket has no address; only processes on this computer can send it.
  return (address, hop) => !address || listed(withoutZone(address), hop);
}

/**
 * An IPv6 address without the interface that it belongs to (RFC 4007 section 11), such as `fe80::1%eth0.100`. Node
 * accepts any text there, the parsers of addresses only letters and digits.
 */
function withoutZone(address: string): string {
  return address.replace(/%.*$/s, '');
}

/** The nearest value of a list to which proxies append. */
function header(request: IncomingMessage, name: string): string | undefined {
  return (
    String(request.headers[name] ?? '')
      .split(',')
      .at(-1)
      ?.trim() || undefined
  );
}

/**
 * The unit of rate limits per address: for IPv6 the first 64 bits. All texts that are not addresses share one group.
 */
export function addressGroup(address: string): string {
  // Most addresses are IPv4, and parsing each costs as much as a read of the store.
  if (isIPv4(address)) return address;
  if (isIP(address) === 0) return 'local';
  const parsed = ipaddr.process(withoutZone(address));
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return parsed.toByteArray().slice(0, 8).join('.');
}
