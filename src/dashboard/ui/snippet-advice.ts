/** Facts about a site's pages that decide whether the snippet works there. */

/** The sources that the visitor script needs. Safari does not take an `https:` source to include `wss:`. */
export function policyFor({ protocol, host, origin }: Pick<Location, 'protocol' | 'host' | 'origin'>): string {
  const socket = `${protocol === 'https:' ? 'wss' : 'ws'}://${host}`;
  return `script-src ${origin}; connect-src ${origin} ${socket}`;
}

const LOCAL_NAME = /^[^.:]+$|\.(?:localhost|local|internal|lan|home\.arpa)$/;
/** RFC 1122 section 3.2.1.3, RFC 1918, RFC 3927, RFC 6598; RFC 4291 and RFC 4193. */
const LOCAL_V4 =
  /^(?:0|10|127|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\.[\d.]+$/;
const LOCAL_V6 = /^\[(?:::1?\]|f[cd]|fe[89ab])/;

/** Returns true for a host that only this computer or its network can reach. */
export function isLocalHost(hostname: string): boolean {
  return [LOCAL_NAME, LOCAL_V4, LOCAL_V6].some((local) => local.test(hostname));
}
