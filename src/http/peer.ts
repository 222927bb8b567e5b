/** Who sends a request, as far as proxies in front of us can be believed. Nothing else reads what proxies say. */
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4 } from 'node:net';
import proxyAddress from '@fastify/proxy-addr';
import ipaddr from 'ipaddr.js';
import type { Config } from '../config/config.ts';
import type { Peer } from '../protocol/post.ts';

export interface Client extends Peer {
  /** The client reached the proxy, or us, by https. */
  isSecure: boolean;
}

type Trusts = (address: string | undefined, hop: number) => boolean;

/** Makes the reader of a request's client. X-Forwarded-For, -Host and -Proto, and the country, count only where `trustProxy` allows. */
export function peerReader({
  trustProxy,
  countryHeader,
}: Pick<Config, 'trustProxy' | 'countryHeader'>): (request: IncomingMessage) => Client {
  const trusts = trustOf(trustProxy);
  return (request) => {
    const isTrusted = trusts(request.socket.remoteAddress ?? '', 0);
    const forwarded = (name: string) => (isTrusted && name !== '' ? header(request, name) : undefined);
    return {
      address: addressGroup(addressOf(request, trusts)),
      host: forwarded('x-forwarded-host') ?? request.headers.host,
      country: countryOf(forwarded(countryHeader)),
      isSecure: forwarded('x-forwarded-proto')?.toLowerCase() === 'https',
    };
  };
}

/**
 * The address of the first one, from us outwards, that is not a trusted proxy. What is no address ends the search: the
 * one who sent it counts then, so that nobody gets an allowance of its own by sending ever other texts.
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
 * The IP address in what a proxy writes: alone, with a port behind it, or an IPv6 address in brackets with or without one,
 * also in quotes (RFC 7239 section 6). Undefined for everything else.
 */
export function readAddress(text: string): string | undefined {
  const bare = text.trim().replace(/^"(.*)"$/, '$1');
  if (isIP(bare) !== 0) return bare;
  const [, v6, v4] = /^(?:\[([^\]]+)\]|([\d.]+))(?::\d{1,5})?$/.exec(bare) ?? [];
  return isIP(v6 ?? v4 ?? '') === (v6 === undefined ? 4 : 6) ? (v6 ?? v4) : undefined;
}

/** Proxies write XX or T1 where they do not know. */
function countryOf(text = ''): string {
  const country = text.toUpperCase();
  return /^[A-Z]{2}$/.test(country) && country !== 'XX' ? country : '';
}

export function trustOf(trustProxy: Config['trustProxy']): Trusts {
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

/** What counts as one address in limits: of IPv6 the first 64 bits. All that is no address counts as one. */
export function addressGroup(address: string): string {
  // Most are, and to parse each costs as much as a read of the store.
  if (isIPv4(address)) return address;
  if (isIP(address) === 0) return 'local';
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return parsed.toByteArray().slice(0, 8).join('.');
}
