/** A process that compacts the record in the given Redis, again and again. */
import { Redis } from '../../src/redis/connection.ts';
import { type RedisTarget, readTarget } from '../../src/redis/redis-url.ts';
import { RedisArchive } from '../../src/store/redis/redis-archive.ts';

const archive = new RedisArchive(await Redis.connect(readTarget(process.argv[2] as string) as RedisTarget));
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
for (;;) await archive.compactAll();
