/** The record in Redis: the contract suite. */
import { FILE, redisContract, UNWRITTEN } from './support/archive-contract.ts';
import { startRedis } from './support/redis.ts';

redisContract('the record in Redis', startRedis(FILE, UNWRITTEN));
