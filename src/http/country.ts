/**
 * Finds the country of an address in a database in MaxMind's format (https://maxmind.github.io/MaxMind-DB/). Addresses
 * are looked up, never stored.
 */
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { fileURLToPath } from 'node:url';
import ipaddr from 'ipaddr.js';
import { type CountryResponse, Reader } from 'mmdb-lib';
import { getOrInsert } from '../lib/get-or-insert.ts';
import { lazy } from '../lib/lazy.ts';

/** The database that ships: CC0-1.0, with data of the NRO (nro.net, CC-BY-4.0). */
const SHIPPED = '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb';

/** An entry of the database that ships, or of one of MaxMind. */
type Entry = { country_code?: unknown } & Partial<CountryResponse>;

/** Returns the country of an IP address as two capital letters, or an empty text. */
export type CountryFinder = (address: string) => string;

/**
 * Returns a finder. `geo`: the path of a database; true for the one that ships, which is read at the first public
 * address (8 MB); false for none. Throws if the file at the path cannot be read or is no such database.
 */
export function countryFinder(geo: string | boolean): CountryFinder {
  if (geo === false) return () => '';
  const path = geo === true ? fileURLToPath(import.meta.resolve(SHIPPED)) : geo;
  const reader = lazy(() => open(path));
  if (geo !== true) reader();
  else if (!existsSync(path)) throw new Error(`--geo: ${path} is missing: install again, or use --geo no`);
  return (address) => {
    const known = publicAddress(address);
    return known === undefined ? '' : lookUp(reader, known);
  };
}

/** A damaged part of a database must not keep visitors away. */
function lookUp(reader: () => Reader<CountryResponse>, address: string): string {
  try {
    const database = reader();
    // It would read the address as one of version 4.
    if (database.metadata.ipVersion === 4 && address.includes(':')) return '';
    return codeIn(database.get(address) as Entry | null);
  } catch {
    return '';
  }
}

const opened = new Map<string, Reader<CountryResponse>>();

function open(path: string): Reader<CountryResponse> {
  try {
    return getOrInsert(opened, path, () => new Reader<CountryResponse>(readFileSync(path)));
  } catch (error) {
    throw new Error(`--geo: ${path} is not a database of countries: ${(error as Error).message}`);
  }
}

/** The address in the form that the reader takes; undefined if it is local, such as those with an interface (`%`). */
function publicAddress(address: string): string | undefined {
  if (isIP(address) === 0 || address.includes('%')) return undefined;
  const parsed = ipaddr.process(address);
  return parsed.range() === 'unicast' ? parsed.toString() : undefined;
}

function codeIn(entry: Entry | null): string {
  const code = entry?.country_code ?? entry?.country?.iso_code;
  return typeof code === 'string' && /^[A-Z]{2}$/.test(code) && code !== 'ZZ' ? code : '';
}
