/** The record in a Redis cluster: the contract suite. */
import { FILE, redisContract, UNWRITTEN } from './support/archive-contract.ts';
import { startRedisCluster } from './support/redis.ts';

redisContract('the record in a Redis cluster', startRedisCluster(FILE, 0, UNWRITTEN));
