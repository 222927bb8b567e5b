/**
 * The design that tutorials show: a worker parses each frame and sends it to the primary by itself; the primary
 * makes a text of it for each administrator and writes it.
 */
import cluster from 'node:cluster';
import { createServer, type ServerResponse } from 'node:http';
import { WebSocketServer } from 'ws';
import { forkWorkers, HELLO, listenInWorker, portOf } from './workers.ts';

interface Event {
  visitor: string;
  x: number;
  y: number;
  t: number;
}

if (cluster.isPrimary) {
  const admins = new Set<ServerResponse>();
  const streams = createServer((_request, response) => {
    // Without chunks, as ours, so that one reader serves both.
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', connection: 'close' });
    response.flushHeaders();
    admins.add(response);
    response.on('close', () => admins.delete(response));
  });
  streams.listen(0, '127.0.0.1', () =>
    forkWorkers((_worker, message) => {
      for (const admin of admins) admin.write(`event: move\ndata: ${JSON.stringify(message as Event)}\n\n`);
    }, portOf(streams)),
  );
} else {
  const server = createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  let visitors = 0;
  sockets.on('connection', (socket) => {
    visitors += 1;
    const visitor = `${process.pid}-${visitors}`;
    socket.on('message', (data) => {
      const { x, y, t } = JSON.parse(String(data));
      process.send?.({ visitor, x, y, t } satisfies Event);
    });
    socket.send(HELLO);
  });
  listenInWorker(server);
}
