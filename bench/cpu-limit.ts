/** Limits a process to part of a core, by a control group (version 1), which needs root. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';

const ROOT = '/sys/fs/cgroup/cpu';
/** The quota is renewed every period, microseconds. */
const PERIOD_US = 10_000;

/**
 * Limits a process and all its threads to a share of a core, 0 to 1. Returns a function that removes the limit, to be
 * called when the process has ended. Throws if this system or user cannot do that.
 */
export function limitCpu(pid: number, share: number): () => void {
  if (!existsSync(`${ROOT}/cpu.cfs_quota_us`)) throw new Error(`${ROOT} has no control groups of version 1`);
  const group = `${ROOT}/fieldmouse-bench-${pid}`;
  const remove = () => rmdirSync(group);
  mkdirSync(group);
  try {
    writeFileSync(`${group}/cpu.cfs_period_us`, String(PERIOD_US));
    writeFileSync(`${group}/cpu.cfs_quota_us`, String(Math.round(share * PERIOD_US)));
    writeFileSync(`${group}/cgroup.procs`, String(pid));
  } catch (error) {
    remove();
    throw error;
  }
  return remove;
}
