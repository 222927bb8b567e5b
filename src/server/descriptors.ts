/** How many files and sockets the system lets one process have open. */
import { readFileSync } from 'node:fs';

/** Descriptors that are kept for the store, the log, other processes and commands. */
export const RESERVED_DESCRIPTORS = 128;
/** With a very low limit a worker still takes so many connections. */
const MIN_CONNECTIONS = 16;
/** One client may use this share of the connections of a process, so that others can still connect. */
const CLIENT_SHARE = 0.25;

/** The limit (`nofile`) of this process, which its children inherit. Undefined where the system does not tell. */
export function descriptorLimit(): number | undefined {
  try {
    const text = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return text === undefined ? undefined : Number(text);
  } catch {
    return undefined;
  }
}

/** How many connections of any kind one process can hold under a limit of descriptors. */
export function mostConnections(limit = descriptorLimit()): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(MIN_CONNECTIONS, limit - RESERVED_DESCRIPTORS);
}

/** How many of `most` connections one client may use: a quarter, but at least one. */
export function clientShare(most: number): number {
  return Math.max(1, Math.floor(most * CLIENT_SHARE));
}

/**
 * How many of `most` connections one client may use where an option says `limit`: a quarter at most, unless the
 * operator raised the option above its `preset`, as where all visitors come through one address.
 */
export function limitOfOne(limit: number, preset: string | (() => string), most: number): number {
  return limit > Number(preset) ? limit : Math.min(limit, clientShare(most));
}
