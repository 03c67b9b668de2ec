/** Lets the parts of an answer through as its reader wants them: an agent that is ahead waits. */
export class PartGate {
  private wake: (() => void)[] = [];
  private isOpen = false;

  /** `left`: parts that may come at first. */
  constructor(private left: number) {}

  /** So many more are wanted. */
  add(parts: number): void {
    this.left = Math.min(this.left + parts, Number.MAX_SAFE_INTEGER);
    while (this.left > 0) {
      const wake = this.wake.shift();
      if (wake === undefined) break;
      this.left -= 1;
      wake();
    }
  }

  /** Whether the next part may go now; then it is counted. */
  tryPass(): boolean {
    if (this.isOpen) return true;
    if (this.left === 0) return false;
    this.left -= 1;
    return true;
  }

  /** Resolves when the next part may go. */
  pass(): Promise<void> {
    if (this.tryPass()) return Promise.resolve();
    return new Promise((resolve) => this.wake.push(resolve));
  }

  /** Nobody reads any more: whoever waits goes on. */
  open(): void {
    this.isOpen = true;
    for (const wake of this.wake.splice(0)) wake();
  }
}
