/**
 * `npm run fuzz [-- --inputs N] [-- --seed N]`: gives every parser valid inputs with faults, a million in all, and
 * prints the results of each. If a parser throws anything but our own errors, prints that input and ends with code 1.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Target } from '../test/support/fuzz.ts';
import { callOf, number } from './usage.ts';

const BATCH = 1000;
const { values } = callOf({
  name: 'fuzz',
  does:
    'Gives every parser of external input mutated real inputs, and prints the results. Exits with code 1 at the first input that causes an error of another kind than our own, ' +
    'and prints it.',
  takes: 'A million inputs take some minutes, 10,000 some seconds.',
  options: {
    inputs: {
      value: 'N',
      text: 'approximate number of inputs; a million by default',
      check: number(1, 1e9),
    },
    seed: {
      value: 'N',
      text: 'seed of the inputs; random by default',
      check: number(0, 2 ** 31 - 1),
    },
  },
});
// The parsers take two seconds to load, which the usage does not need.
const { default: fc } = await import('fast-check');
const { accepts, TARGETS } = await import('../test/support/fuzz.ts');
const inputCount = Number(values.inputs ?? 1_000_000);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const shares = TARGETS.reduce((sum, { share }) => sum + share, 0);
const perShare = Math.ceil(inputCount / shares / BATCH);

console.log(`seed ${seed}, Node ${process.version}\n`);
console.log('| parser | inputs | accepted | rejected | slowest, µs | heap grown, KB |\n|---|---|---|---|---|---|');
let inputs = 0;
for (const target of TARGETS) inputs += await fuzz(target, perShare * target.share);
console.log(`\n${inputs} inputs; only our own errors were thrown.`);

/** Runs `batches` batches. Returns the number of inputs. */
async function fuzz(target: Target, batches: number): Promise<number> {
  let accepted = 0;
  let slowest = 0;
  // Code is compiled, and buffers are made, by then.
  for (const input of batch(target, -1)) accepts(target, input);
  const before = heapKb();
  for (let no = 0; no < batches; no++) {
    for (const input of batch(target, no)) {
      const began = performance.now();
      if (isAccepted(target, input)) accepted += 1;
      if (performance.now() - began > slowest) slowest = Math.max(slowest, again(target, input));
    }
    // Sockets that are destroyed go now.
    await turn();
  }
  const all = batches * BATCH;
  const figures = [all, accepted, all - accepted, (1000 * slowest).toFixed(0), heapKb() - before];
  console.log(`| ${[target.name, ...figures].join(' | ')} |`);
  return all;
}

/** The least time of some, milliseconds: whoever else uses the CPU makes any single one long. */
function again(target: Target, input: never): number {
  const times = Array.from({ length: 5 }, () => {
    const began = performance.now();
    accepts(target, input);
    return performance.now() - began;
  });
  return Math.min(...times);
}

function batch({ inputs }: Target, no: number): never[] {
  return fc.sample(inputs, { numRuns: BATCH, seed: seed + no });
}

function isAccepted(target: Target, input: never): boolean {
  try {
    return accepts(target, input);
  } catch (error) {
    console.error(`\n${target.name}: unexpected error for ${fc.stringify(input)}`);
    throw error;
  }
}

function heapKb(): number {
  globalThis.gc?.();
  return Math.round(process.memoryUsage().heapUsed / 1024);
}
