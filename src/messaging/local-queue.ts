/** So many in a row, before whatever else the process has to do gets its turn. */
const BURST = 1_000;

/** Does things in order, each after the present turn is over: two who answer each other at once would never come back otherwise, nor let others run. */
export class LocalQueue {
  private waiting: (() => void)[] = [];
  private isScheduled = false;
  private inRow = 0;

  /** `work` must not throw. */
  push(work: () => void): void {
    this.waiting.push(work);
    if (this.isScheduled) return;
    this.isScheduled = true;
    if (this.inRow < BURST) queueMicrotask(this.run);
    else setImmediate(this.run);
  }

  private readonly run = (): void => {
    const { waiting } = this;
    if (this.inRow === 0) setImmediate(() => (this.inRow = 0));
    this.inRow += waiting.length;
    this.waiting = [];
    this.isScheduled = false;
    for (const work of waiting) work();
  };
}
