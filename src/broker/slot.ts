/** A machine's share of the visitors' numbers: a remainder that no other machine has. */
import type { Redis } from '../redis/connection.ts';
import { RedisError } from '../redis/error.ts';
import { commonKey } from '../redis/keys.ts';

/** So many machines there may be, those that died within a day included. */
export const SLOTS = 1024;
/** Kept for so long after the last sign of life, seconds: visitors' numbers are in dashboards. */
const LEASE_S = '86400';
/** By chance most are free. */
const TRIES = 50;

export async function takeSlot(redis: Redis, machine: string): Promise<number> {
  for (let i = 0; i < TRIES; i++) {
    const slot = Math.floor(Math.random() * SLOTS);
    const key = keyOf(slot);
    if ((await redis.send(key, 'SET', key, machine, 'NX', 'EX', LEASE_S)) !== null) return slot;
  }
  throw new RedisError('failed', `Redis at ${redis.where} knows of more machines than there can be (${SLOTS})`);
}

/** Says that the slot is in use, also to a Redis that has forgotten it. */
export async function keepSlot(redis: Redis, machine: string, slot: number): Promise<void> {
  const key = keyOf(slot);
  await redis.send(key, 'SET', key, machine, 'EX', LEASE_S);
}

export async function leaveSlot(redis: Redis, slot: number): Promise<void> {
  const key = keyOf(slot);
  await redis.send(key, 'DEL', key);
}

function keyOf(slot: number): string {
  return commonKey(`slot:${slot}`);
}
