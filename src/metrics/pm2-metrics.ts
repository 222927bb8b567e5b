/** The figures in `pm2 describe` and `pm2 monit`, sent by PM2's own messages; does nothing without PM2. */

/** Interval between two messages, milliseconds. */
const REPORT_MS = 2000;

export interface Pm2Figures {
  visitors: number;
  streams: number;
  /** Total so far. */
  samples: number;
  /** The longest delay of any event loop in the last second, milliseconds. */
  delayMs: number;
}

/** Sends figures to PM2 until the returned function is called. */
export function reportToPm2(read: () => Pm2Figures): () => void {
  // PM2 sets this variable. Other parents with an IPC channel would not understand the messages.
  if (process.env.pm_id === undefined || !process.send) return () => {};
  let before = read().samples;
  const timer = setInterval(() => {
    const { visitors, streams, samples, delayMs } = read();
    const rate = Math.round((samples - before) / (REPORT_MS / 1000));
    before = samples;
    const data = {
      'Visitors now': { value: visitors },
      Samples: { value: rate, unit: '/s' },
      Streams: { value: streams },
      'Event loop delay': { value: delayMs, unit: 'ms' },
    };
    // PM2 may have just exited; that is no reason to stop.
    process.send?.({ type: 'axm:monitor', data }, undefined, undefined, () => {});
  }, REPORT_MS);
  return () => clearInterval(timer);
}
