import { readFileSync } from 'node:fs';

/** Names one process for good: process ids are reused, so the start time (clock ticks since boot) belongs to it. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** Identity of a living process (proc(5), field 22 of `stat`), or undefined when there is none of that id. */
export function processIdentity(pid: number = process.pid): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return { pid, startTime: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** The process that wrote this identity down still runs. */
export const isAlive = (identity: ProcessIdentity): boolean =>
  processIdentity(identity.pid)?.startTime === identity.startTime;
