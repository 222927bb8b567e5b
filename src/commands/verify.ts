/** The command that checks the whole record for consistency. */

import type { Difference } from '../store/archive.ts';
import { inspect, type PartProgress } from '../store/lmdb/file/check-process.ts';
import {
  type Command,
  type ExitCode,
  type Invocation,
  noStore,
  type Output,
  onStore,
  refuseRunning,
  type StoreInvocation,
} from './command.ts';
import { type Bar, createBar } from './progress-bar.ts';

export const VERIFY_COMMANDS: Readonly<Record<string, Command>> = {
  verify: {
    does: 'compares all counts and heatmaps with the frames',
    more: 'It reads every page of the store, also while a server runs, and lists every difference (exit code 1).',
    examples: ['verify', 'verify --data /srv/fieldmouse'],
    run: verify,
  },
};

async function verify(call: Invocation): Promise<ExitCode> {
  const { config, io } = call;
  if (config.redis) return onStore(verifyShared)(call);
  const missing = noStore(call);
  if (missing) return missing;
  const bars = inspectBars(io);
  const differences = await inspect(config.data, bars.show).finally(bars.end);
  return tell(io, differences, 'Every page is intact, and all counts and heatmaps match the frames.');
}

/** Checks the record in Redis; Redis itself checks its files. */
async function verifyShared({ store, io }: StoreInvocation): Promise<ExitCode> {
  const bar = createBar(io.screen, 'counting', 'visits');
  const differences = await store.archive.verify(bar.show).finally(bar.end);
  return tell(io, differences, 'All counts and heatmaps match the frames.');
}

function tell(io: Output, differences: readonly Difference[], good: string): ExitCode {
  for (const difference of differences) io.out(differenceText(difference));
  if (differences.length > 0) return refuseRunning(io, `${differences.length} counts differ from the frames`);
  io.out(good);
  return 0;
}

function differenceText({ what, kept, found }: Difference): string {
  return `${what}: stored ${kept}, computed ${found}`;
}

/** Progress bars for the parts of an inspection, one after the other. */
export function inspectBars(io: Output): { show: PartProgress; end(): void } {
  let bar: Bar | undefined;
  let shown = '';
  return {
    show(part, done, total) {
      if (part !== shown) {
        bar?.end();
        bar = part === 'pages' ? createBar(io.screen, 'reading', 'pages') : createBar(io.screen, 'counting', 'visits');
        shown = part;
      }
      bar?.show(done, total);
    },
    end: () => bar?.end(),
  };
}
