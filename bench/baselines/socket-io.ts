/** Socket.IO with its cluster adapter: visitors emit, administrators are in a room. */
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { createAdapter, setupPrimary } from '@socket.io/cluster-adapter';
import { Server } from 'socket.io';
import { forkWorkers, listenInWorker } from './workers.ts';

if (cluster.isPrimary) {
  setupPrimary();
  forkWorkers(() => {});
} else {
  const server = createServer();
  const io = new Server(server, { transports: ['websocket'], perMessageDeflate: false, serveClient: false });
  io.adapter(createAdapter());
  io.on('connection', (socket) => {
    socket.on('watch', () => socket.join('admins'));
    socket.on('move', ({ x, y, t }) => io.to('admins').emit('move', { visitor: socket.id, x, y, t }));
  });
  listenInWorker(server);
}
