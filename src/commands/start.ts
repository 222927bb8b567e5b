/** What there is to say of `start`, which main.ts does itself: it goes on after the command line has been read. */
import type { Manual } from './help.ts';

export const START: Manual = {
  does: 'starts the server; the same without any command',
  more:
    'It prints where it listens, and at the first start a sign-in link that works once. SIGTERM and Ctrl-C drain and stop it; SIGHUP replaces ' +
    'its workers. A flag wins over the environment.',
  options: [],
  examples: ['--data /srv/fieldmouse --listen tcp://127.0.0.1:2112', '--trust-proxy 127.0.0.1 --retain 90d'],
};
