/** The record in a Redis cluster: the contract suite. */
import { redisContract, UNWRITTEN } from './support/archive-contract.ts';
import { FILE } from './support/owner.ts';
import { startRedisCluster } from './support/redis.ts';

redisContract('the record in a Redis cluster', startRedisCluster(FILE, 0, UNWRITTEN), false);
