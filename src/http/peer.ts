/** Who sends a request, as far as proxies in front of us can be believed. */
import type { IncomingMessage } from 'node:http';
import proxyAddress from '@fastify/proxy-addr';
import ipaddr from 'ipaddr.js';
import type { Config } from '../config.ts';
import type { Peer } from '../protocol/post.ts';

/** Makes the reader of a request's peer. X-Forwarded-For and -Host count only where `trustProxy` allows. */
export function peerReader(trustProxy: Config['trustProxy']): (request: IncomingMessage) => Peer {
  const trusts = trustOf(trustProxy);
  return (request) => {
    const remote = request.socket.remoteAddress ?? '';
    const forwardedHost = trusts(remote, 0) ? header(request, 'x-forwarded-host') : undefined;
    return { address: group(proxyAddress(request, trusts)), host: forwardedHost ?? request.headers.host };
  };
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

function group(address: string): string {
  if (!ipaddr.isValid(address)) return address || 'local';
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return parsed.toByteArray().slice(0, 8).join('.');
}
