import type { TaskResult } from '../../client/result.js';

/** Where tasks ran: agent → how many. */
export class Spread {
  private readonly counts = new Map<string, number>();
  private tasks = 0;

  add({ agentId, nodeId }: TaskResult): void {
    const place = `${agentId} on ${nodeId}`;
    this.counts.set(place, (this.counts.get(place) ?? 0) + 1);
    this.tasks += 1;
  }

  get total(): number {
    return this.tasks;
  }

  get places(): number {
    return this.counts.size;
  }

  /** A bar for each agent. */
  lines(): string[] {
    return [...this.counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([place, count]) => `${place.padEnd(18)} ${'█'.repeat(Math.ceil((count * 30) / this.tasks))} ${count}`);
  }

  short(): string {
    return [...this.counts].map(([place, count]) => `${place.split(' ')[0]}: ${count}`).join(', ');
  }
}

/** Does `total` pieces of work, `atOnce` at a time. Gives what each ended with, in order of their ends. */
export async function inParallel<T>(
  total: number,
  atOnce: number,
  work: (index: number) => Promise<T>,
  onDone: (result: T) => void | Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < total; index = next++) await onDone(await work(index));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
