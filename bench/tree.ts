/** CPU, memory and descriptors of a process and its children, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks in /proc/PID/stat are USER_HZ: 100 a second on every Linux. */
const MS_PER_TICK = 10;

export class Tree {
  readonly root: number;

  constructor(root: number) {
    this.root = root;
  }

  /** The root first. */
  pids(): number[] {
    const text = readFileSync(`/proc/${this.root}/task/${this.root}/children`, 'utf8');
    return [this.root, ...text.split(' ').filter(Boolean).map(Number)];
  }

  /** CPU so far of each process, ms. */
  cpu(): Map<number, number> {
    return new Map(this.pids().map((pid) => [pid, cpuMs(pid)]));
  }

  /** Resident memory of each process, KiB. */
  rss(): Map<number, number> {
    return new Map(this.pids().map((pid) => [pid, rssKb(pid)]));
  }
}

const LOOK_MS = 250;
/** Number of samples per second. */
const SECOND = 1000 / LOOK_MS;

/** Samples a process tree: the peaks of its busiest and of its largest process. */
export class Watch {
  /** Peak CPU of one process over any second, percent of one core. */
  busiest = 0;
  /** Peak memory of each process, MB, the root first. */
  readonly rssMb = new Map<number, number>();
  readonly #tree: Tree;
  #timer: NodeJS.Timeout | undefined;
  readonly #looks: { time: number; cpu: Map<number, number> }[] = [];

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  #look(): void {
    const now = { time: performance.now(), cpu: this.#tree.cpu() };
    for (const [pid, kb] of this.#tree.rss()) this.rssMb.set(pid, Math.max(this.rssMb.get(pid) ?? 0, kb / 1024));
    this.#looks.push(now);
    const then = this.#looks.length > SECOND ? this.#looks.shift() : undefined;
    if (!then) return;
    for (const [pid, ms] of now.cpu)
      this.busiest = Math.max(this.busiest, (100 * (ms - (then.cpu.get(pid) ?? 0))) / (now.time - then.time));
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Returns the CPU time used since `before`, ms: in total, and by the root. */
export function cpuSince(tree: Tree, before: Map<number, number>): { all: number; each: number[] } {
  const each = [...tree.cpu()].map(([pid, ms]) => ms - (before.get(pid) ?? 0));
  return { all: each.reduce((sum, ms) => sum + ms, 0), each };
}

/** Returns the user and system time of a process so far, ms. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

export function rssKb(pid: number): number {
  return memoryKb(pid, 'VmRSS');
}

/**
 * A line of /proc/PID/status: `RssAnon` is a process's own, `RssFile` are pages of files that it has read or mapped.
 */
export function memoryKb(pid: number, line: 'VmRSS' | 'RssAnon' | 'RssFile'): number {
  return Number(new RegExp(`${line}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Returns the number of open descriptors: sockets, and a few others whose number does not depend on the sockets. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
