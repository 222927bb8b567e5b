/** Frames by POST: what the route passes on, and the answer. */

/** The client, as far as proxies can be trusted. */
export interface Peer {
  /** Groups requests of one client for limits: an IPv4 address, or the /64 of an IPv6 one (RFC 6177). Never stored. */
  address: string;
  /** The requested host, or undefined. */
  host: string | undefined;
  /** The client's country from the proxy, two capital letters, or empty. */
  country: string;
}

/** `page` may be empty. */
export interface Beacon {
  site: string;
  page: string;
  origin: string | undefined;
  peer: Peer;
  /** JSON if true, otherwise binary frames. */
  json: boolean;
  body: Buffer;
}

export interface BeaconReply {
  status: number;
  body: object;
  /** Seconds. */
  retryAfter?: number;
}
