/** Frames by POST: what the route that takes them hands on, and what it is to answer. */

/** Who asks, as far as proxies in front of us can be believed. */
export interface Peer {
  /** Groups requests of one client for limits: an IPv4 address, or the /64 of an IPv6 one (RFC 6177). Never kept. */
  address: string;
  /** The host the client asked for; undefined if it named none. */
  host: string | undefined;
  /** Where the proxy says that the client is, as two capital letters; empty if it does not. */
  country: string;
}

/** `page` may be empty. */
export interface Beacon {
  site: string;
  page: string;
  origin: string | undefined;
  peer: Peer;
  /** The JSON form; else binary frames. */
  json: boolean;
  body: Buffer;
}

export interface BeaconReply {
  status: number;
  body: object;
  /** Seconds. */
  retryAfter?: number;
}
