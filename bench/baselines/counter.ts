/**
 * The counter of tutorials, with micro and level: read, add one, write. Its argument: a folder. POST counts a visit to
 * a path, GET reads its total.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Level } from 'level';
import { type RequestHandler, serve } from 'micro';

const db = new Level<string, number>(process.argv[2] as string, { valueEncoding: 'json' });
await db.open();

const count: RequestHandler = async ({ method, url = '/' }) => {
  const known = (await db.get(url)) ?? 0;
  if (method !== 'POST') return { hits: known };
  await db.put(url, known + 1);
  return { hits: known + 1 };
};

const server = createServer(serve(count));
server.listen(0, '127.0.0.1', () =>
  console.log(`listens on tcp://127.0.0.1:${(server.address() as AddressInfo).port}`),
);
process.on('SIGTERM', () => void db.close().then(() => process.exit(0)));
