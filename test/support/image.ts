/** Follows a Dockerfile by hand as far as possible without Docker: its copies, and the commands of its build. */
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Copy, DockerfileParser, type From, type Instruction } from 'dockerfile-ast';

/** One instruction, with its arguments after the flags. */
export interface Step {
  keyword: string;
  flags: Record<string, string>;
  words: string[];
  /** The command of an instruction in exec form, as a list of words. */
  exec: string[];
  /** All text after the keyword. */
  text: string;
}

export interface Stage {
  name: string;
  image: string;
  steps: Step[];
}

/** Returns the stages of a Dockerfile, in order. */
export function readStages(file: URL): Stage[] {
  const stages: Stage[] = [];
  for (const instruction of DockerfileParser.parse(readFileSync(file, 'utf8')).getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      const from = instruction as From;
      stages.push({ name: from.getBuildStage() ?? '', image: from.getImage() ?? '', steps: [] });
    } else stages.at(-1)?.steps.push(step(instruction));
  }
  return stages;
}

function step(instruction: Instruction): Step {
  const flags = 'getFlags' in instruction ? (instruction as Copy).getFlags() : [];
  const text = instruction.getArgumentsContent() ?? '';
  return {
    keyword: instruction.getKeyword(),
    flags: Object.fromEntries(flags.map((flag) => [flag.getName(), flag.getValue() ?? ''])),
    words: instruction
      .getArguments()
      .map((argument) => argument.getValue())
      .filter((word) => !word.startsWith('--')),
    exec: JSON.parse(/\[.*\]$/.exec(text)?.[0] ?? '[]'),
    text,
  };
}

/**
 * Returns the copies of a stage. `source` is relative to the context or to the stage `from`, `target` to the root of
 * this stage.
 */
export function copies(stage: Stage): { from: string | undefined; source: string; target: string }[] {
  const folder = stage.steps.find(({ keyword }) => keyword === 'WORKDIR')?.words[0] ?? '/';
  return stage.steps
    .filter(({ keyword }) => keyword === 'COPY')
    .flatMap(({ flags, words }) => {
      const to = words.at(-1) ?? '';
      return words.slice(0, -1).map((source) => ({
        from: flags.from,
        source,
        target: join(folder, to, to.endsWith('/') ? basename(source) : ''),
      }));
    });
}

/**
 * Copies the files of a stage into `root`, its root folder, and calls `run` for each of its commands. `roots`: the
 * folder of the context (key `''`) and of other stages. The commands must stay in their working folder.
 */
export function build(
  stage: Stage,
  root: string,
  roots: Map<string, string>,
  run: (command: string, folder: string) => void,
): void {
  const list = copies(stage);
  const folder = join(root, stage.steps.find(({ keyword }) => keyword === 'WORKDIR')?.words[0] ?? '/');
  mkdirSync(folder, { recursive: true });
  for (const { keyword, words, text } of stage.steps) {
    if (keyword === 'COPY')
      for (const { from, source, target } of list.splice(0, words.length - 1))
        cpSync(join(roots.get(from ?? '') ?? '', source), join(root, target), { recursive: true });
    if (keyword === 'RUN') run(text, folder);
  }
}
