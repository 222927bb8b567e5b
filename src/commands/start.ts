/** The description of `start`, which main.ts runs itself after it has read the command line. */
import type { Manual } from './help.ts';

export const START: Manual = {
  does: 'starts the server; this is the default command',
  more:
    'The server prints the addresses it listens on and, on the first start, a sign-in link that works once. ' +
    'SIGTERM and Ctrl-C drain and stop it; SIGHUP replaces its workers. ' +
    'Flags take precedence over environment variables.',
  options: [],
  examples: ['--data /srv/fieldmouse --listen tcp://127.0.0.1:2112', '--trust-proxy 127.0.0.1 --retain 90d'],
};
