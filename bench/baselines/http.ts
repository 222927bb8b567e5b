/**
 * The baseline for HTTP: bare `node:http` with as many workers, and responses that are ready in memory. Its argument:
 * HttpAnswers as JSON.
 */
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { forkWorkers, listenInWorker } from './workers.ts';

/** What to answer, by method and path (without the query). */
export type HttpAnswers = Record<string, { headers: Record<string, string>; base64: string }>;

if (cluster.isPrimary) forkWorkers(() => {});
else {
  const given = Object.entries(JSON.parse(process.argv[2] ?? '{}') as HttpAnswers);
  const answers = new Map(
    given.map(([to, { headers, base64 }]) => [to, { headers, body: Buffer.from(base64, 'base64') }]),
  );
  const server = createServer((request, response) => {
    const answer = answers.get(`${request.method} ${request.url?.split('?', 1)[0]}`);
    response.writeHead(answer ? 200 : 404, { ...answer?.headers, 'content-length': answer?.body.length ?? 0 });
    response.end(answer?.body);
  });
  listenInWorker(server);
}
