/** The number of files and sockets that a process may have open. */
import { readFileSync } from 'node:fs';

/** Descriptors reserved for the store, the log, other processes and commands. */
export const RESERVED_DESCRIPTORS = 128;
/** Minimum number of connections of a worker under a very low limit. */
const MIN_CONNECTIONS = 16;
/** One client may use this share of the connections of a process, so that others can still connect. */
const CLIENT_SHARE = 0.25;

/** The limit (`nofile`) of this process, which its children inherit. Undefined if the system does not report it. */
export function descriptorLimit(): number | undefined {
  try {
    const text = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return text === undefined ? undefined : Number(text);
  } catch {
    return undefined;
  }
}

/** The number of connections of any kind that one process can hold under a limit of descriptors. */
export function mostConnections(limit = descriptorLimit()): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(MIN_CONNECTIONS, limit - RESERVED_DESCRIPTORS);
}

/** The number of `maxConnections` connections that one client may use: a quarter, but at least one. */
export function clientShare(maxConnections: number): number {
  return Math.max(1, Math.floor(maxConnections * CLIENT_SHARE));
}

/**
 * The number of `maxConnections` connections that one client may use if an option says `limit`: at most a quarter,
 * unless the operator raised the option above its `defaultLimit`, for example because all visitors have one address.
 */
export function limitOfOne(limit: number, defaultLimit: string | (() => string), maxConnections: number): number {
  return limit > Number(defaultLimit) ? limit : Math.min(limit, clientShare(maxConnections));
}
