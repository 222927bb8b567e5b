/** What `pm2 describe` and `pm2 monit` show, by PM2's own messages; nothing at all without PM2. */

/** Figures are told so often, milliseconds. */
const TELL_MS = 2000;

export interface Pm2Figures {
  visitors: number;
  streams: number;
  /** So far. */
  samples: number;
  /** The longest delay of any event loop just now, milliseconds. */
  delayMs: number;
}

/** Tells PM2 how it goes until it is stopped by what is returned. */
export function reportToPm2(read: () => Pm2Figures): () => void {
  // PM2 names its processes by this; others that keep a channel open would not know what to do with it.
  if (process.env.pm_id === undefined || !process.send) return () => {};
  let before = read().samples;
  const timer = setInterval(() => {
    const { visitors, streams, samples, delayMs } = read();
    const rate = Math.round((samples - before) / (TELL_MS / 1000));
    before = samples;
    const data = {
      'Visitors now': { value: visitors },
      Samples: { value: rate, unit: '/s' },
      Streams: { value: streams },
      'Event loop delay': { value: delayMs, unit: 'ms' },
    };
    // A keeper that has just gone is no reason to end.
    process.send?.({ type: 'axm:monitor', data }, undefined, undefined, () => {});
  }, TELL_MS);
  return () => clearInterval(timer);
}
