import type { Clock } from '../core/clock.js';
import { Fifo } from '../core/fifo.js';

/** A message for an agent that is between two nodes. */
export interface Held {
  readonly bytes: number;
  /** The agent is there, or another process has it. */
  go(): void;
  giveUp(): void;
}

const MAX_PER_AGENT = 1_000;
const MAX_BYTES = 8 * 1024 * 1024;

interface Line {
  readonly held: Fifo<Held>;
  readonly cancelTimer: () => void;
}

/** Messages for agents that have left and may be back in a moment, in order. Bounded: beyond it they are given up. */
export class HeldMessages {
  private readonly lines = new Map<string, Line>();
  private bytes = 0;

  constructor(private readonly clock: Clock) {}

  /** Whether something waits for an agent: what comes later goes behind it. */
  has(agentId: string): boolean {
    return this.lines.size > 0 && this.lines.has(agentId);
  }

  /** Holds a message for at most `ms`, counted from the first for the same agent; false where there is no room. */
  hold(agentId: string, held: Held, ms: number): boolean {
    let line = this.lines.get(agentId);
    if (this.bytes + held.bytes > MAX_BYTES || (line?.held.size ?? 0) >= MAX_PER_AGENT) return false;
    if (line === undefined) {
      line = { held: new Fifo(), cancelTimer: this.clock.after(ms, () => this.end(agentId, (each) => each.giveUp())) };
      this.lines.set(agentId, line);
    }
    line.held.push(held);
    this.bytes += held.bytes;
    return true;
  }

  /** The agent is there. */
  release(agentId: string): void {
    if (this.has(agentId)) this.end(agentId, (each) => each.go());
  }

  close(): void {
    for (const agentId of [...this.lines.keys()]) this.end(agentId, (each) => each.giveUp());
  }

  private end(agentId: string, how: (held: Held) => void): void {
    const line = this.lines.get(agentId);
    if (line === undefined) return;
    line.cancelTimer();
    this.lines.delete(agentId);
    for (const held of line.held.clear()) {
      this.bytes -= held.bytes;
      how(held);
    }
  }
}
