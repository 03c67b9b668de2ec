// What else the machine did while a bench ran: without it nobody can tell a slow program from a busy machine. Linux only.
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';

const TICK_MS = 10;

/** Milliseconds of CPU that a process has used; undefined where there is no /proc. */
export function cpuMsOf(pid) {
  const path = `/proc/${pid}/stat`;
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  // After the command, which may hold spaces: state is the first field, utime and stime the 12th and 13th.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Resident memory of a process in MiB; undefined where there is no /proc. */
export function rssMiBOf(pid) {
  const path = `/proc/${pid}/status`;
  if (!existsSync(path)) return undefined;
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(path, 'utf8'))?.[1] ?? 0) / 1024;
}

export function cores() {
  return availableParallelism();
}

/** Milliseconds of CPU that all processes together have used. */
function busyMs() {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}

/** Begins to watch the machine. The function that it gives tells how many cores others used meanwhile, given the ms of CPU that we used. */
export function watchOthers() {
  const startMs = performance.now();
  const before = busyMs();
  return (ownMs) => Math.max(0, (busyMs() - before - ownMs) / (performance.now() - startMs));
}
