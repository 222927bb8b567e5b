/** The record on Redis. */
import type { Note } from '../../protocol/audit.ts';
import type { Redis } from '../../redis/connection.ts';
import type { Archive } from '../archive.ts';

const absent = () => Promise.reject(new Error('the record on Redis is not here'));

/** Placeholder until the record on Redis is merged. */
export class RedisArchive implements Archive {
  readonly redis: Redis;

  constructor(
    redis: Redis,
    _options: { maxBytes?: number; replicas?: number; addNote?: (note: Note) => Promise<void> } = {},
  ) {
    this.redis = redis;
  }

  append = absent;
  sites = async (): Promise<string[]> => [];
  visits = absent;
  visit = absent;
  runs = absent;
  scenes = absent;
  pages = absent;
  days = absent;
  heat = absent;
  prune = absent;
  usage = absent;
  verify = absent;
  erase = async (_id: string, _note?: Note) => false;
  dropSite = async (_site: string, _before: number) => {};
  fileAll = async () => {};
}
