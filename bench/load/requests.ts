/** A process that sends HTTP requests, each as soon as the previous one is answered. */
import autocannon from 'autocannon';
import type { Command, RequestLoad, RequestReport } from './messages.ts';
import { report } from './process.ts';

async function run({ port, connections, seconds, amount, requests }: RequestLoad): Promise<RequestReport> {
  const cpu = process.cpuUsage();
  let client = 0;
  const result = await autocannon({
    url: `http://127.0.0.1:${port}`,
    connections,
    duration: seconds,
    // The end is noticed when a sample is taken, by default once a second.
    ...(amount !== undefined && { amount, sampleInt: 20 }),
    setupClient: (one) => {
      const own = requests.filter((_, i) => i % connections === client % requests.length);
      client += 1;
      one.setRequests(own);
    },
  });
  const { user, system } = process.cpuUsage(cpu);
  return {
    k: 'answered',
    answered: result['2xx'],
    failed: result.non2xx + result.errors,
    rate: result['2xx'] / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
    cpuMs: (user + system) / 1000,
  };
}

process.on('message', async (command: Command) => {
  if (command.k === 'requests') report(await run(command));
  else if (command.k === 'end') process.disconnect();
});
