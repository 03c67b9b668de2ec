import { getHeapStatistics } from 'node:v8';
import { INSTRUMENTS } from './instruments.js';
import type { Metrics } from './metrics.js';
import type { ProcessLoad } from './process-load.js';

/** Measures what every process has. */
export function observeProcess(
  metrics: Metrics,
  { role, version, load }: { readonly role: string; readonly version: string; readonly load: { readonly current: ProcessLoad } },
): void {
  metrics.observe(INSTRUMENTS.buildInfo, () => [[[version, role], 1]]);
  metrics.observe(INSTRUMENTS.processCpu, () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  metrics.observe(INSTRUMENTS.processMemory, () => process.memoryUsage.rss());
  metrics.observe(INSTRUMENTS.processHeap, () => getHeapStatistics().used_heap_size);
  metrics.observe(INSTRUMENTS.processStart, () => performance.timeOrigin / 1_000);
  metrics.observe(INSTRUMENTS.eventLoopDelay, () => load.current.eventLoopDelayMs / 1_000);
}
