/** The floor: as many workers, the same `ws`, and every frame is dropped unread. */
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { forkWorkers, HELLO, listenInWorker } from './workers.ts';

if (cluster.isPrimary) forkWorkers(() => {});
else {
  const server = createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: false });
  sockets.on('connection', (socket) => {
    socket.on('message', () => {});
    socket.send(HELLO);
  });
  listenInWorker(server);
}
