/**
 * Limits a process to part of a core. A control group does that, but needs root; otherwise the process is confined to
 * one core, which it shares with busy neighbours.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const ROOT = '/sys/fs/cgroup/cpu';
/** The share is given anew in each period, microseconds. */
const PERIOD_US = 10_000;

export interface CpuLimit {
  /** How it is limited, in words. */
  how: string;
  /** Call it when the process has ended. */
  remove(): void;
}

/** Limits a process and all its threads to a share of a core, 0 to 1. */
export function limitCpu(pid: number, share: number): CpuLimit {
  return limitByGroup(pid, share) ?? limitByNeighbours(pid, share);
}

/** Undefined if this user may not make a group, or the system has none of version 1. */
function limitByGroup(pid: number, share: number): CpuLimit | undefined {
  if (!existsSync(`${ROOT}/cpu.cfs_quota_us`)) return undefined;
  const group = `${ROOT}/fieldmouse-bench-${pid}`;
  try {
    mkdirSync(group);
  } catch {
    return undefined;
  }
  writeFileSync(`${group}/cpu.cfs_period_us`, String(PERIOD_US));
  writeFileSync(`${group}/cpu.cfs_quota_us`, String(Math.round(share * PERIOD_US)));
  writeFileSync(`${group}/cgroup.procs`, String(pid));
  return { how: `${(100 * share).toFixed(0)} % of a core, by a control group`, remove: () => rmdirSync(group) };
}

function limitByNeighbours(pid: number, share: number): CpuLimit {
  const core = String(availableParallelism() - 1);
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', core, String(pid)], { stdio: 'ignore' });
  const count = Math.round(1 / share) - 1;
  const neighbours = Array.from({ length: count }, () =>
    spawn('taskset', ['--cpu-list', core, process.execPath, '--eval', 'for (;;);'], { stdio: 'ignore' }),
  );
  return {
    how: `one core shared with ${count} busy processes (a control group would need root)`,
    remove: () => neighbours.forEach((neighbour) => void neighbour.kill('SIGKILL')),
  };
}
