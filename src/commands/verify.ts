/** The command that looks whether all of the record agrees. */

import type { Difference } from '../store/archive.ts';
import { inspect, type PartProgress } from '../store/embedded/file/apart.ts';
import { type Bar, createBar } from './bar.ts';
import { type Call, type Command, type ExitCode, noStore, type Output, refuse } from './command.ts';

export const VERIFY_HELP = `  fieldmouse verify              reads all of the store, and compares counts and heatmaps with the frames`;

export const VERIFY_COMMANDS: Readonly<Record<string, Command>> = { verify: { run: verify } };

async function verify(call: Call): Promise<ExitCode> {
  const { config, io } = call;
  const missing = noStore(call);
  if (missing) return missing;
  const bars = inspectBars(io);
  const differences = await inspect(config.data, bars.show).finally(bars.end);
  for (const difference of differences) io.out(differenceText(difference));
  if (differences.length > 0) return refuse(io, `${differences.length} counts differ from the frames`);
  io.out('Every page is in order, and all counts and heatmaps are those of the frames.');
  return 0;
}

function differenceText({ what, kept, found }: Difference): string {
  return `${what}: kept ${kept}, found ${found}`;
}

/** A bar for each part of an inspection, one after the other. */
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
