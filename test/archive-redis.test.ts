/** The record in Redis: the contract suite. */
import { redisContract, UNWRITTEN } from './support/archive-contract.ts';
import { FILE } from './support/owner.ts';
import { startRedis } from './support/redis.ts';

redisContract('the record in Redis', startRedis(FILE, UNWRITTEN));
