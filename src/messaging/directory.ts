import type { Clock } from '../core/clock.js';
import { AGENT_SERVICE, NODE_SERVICE } from '../core/instance.js';
import type { ClusterView } from '../discovery/view.js';

/** An agent that left is waited for so long: it may be on its way to another node. */
export const AWAY_MS = 2_000;
/** What was learned from an answer counts until the view says otherwise, at most so long. */
const LEARNED_MS = 10_000;
const MAX_ENTRIES = 100_000;

interface Known {
  readonly nodeId: string;
  /** On the monotonic clock; Infinity: until the view changes. */
  readonly untilMs: number;
}

/** Which process an agent is at: what the view says, kept by id, and what answers told since. */
export class Directory {
  private readonly known = new Map<string, Known>();
  private readonly gone = new Map<string, number>();
  private readonly stopListening: () => void;

  /** `onFound`: agents that have come, or are elsewhere now. */
  constructor(
    private readonly view: ClusterView,
    private readonly clock: Clock,
    onFound: (agentId: string) => void,
  ) {
    this.stopListening = view.onChange(({ removed, put }) => {
      for (const { id, service } of removed) {
        if (service === NODE_SERVICE) this.unlearn(id);
        if (service !== AGENT_SERVICE) continue;
        this.known.delete(id);
        this.left(id);
      }
      for (const { instance } of put) {
        if (instance.service !== AGENT_SERVICE) continue;
        this.known.delete(instance.id);
        onFound(instance.id);
      }
    });
  }

  /** Whether this process knows who is in the cluster, as it was at some time. */
  get knowsCluster(): boolean {
    return this.view.hasSeenCluster;
  }

  /** The process of an agent; undefined where nobody has it. */
  find(agentId: string): string | undefined {
    const known = this.known.get(agentId);
    if (known !== undefined && (known.untilMs === Number.POSITIVE_INFINITY || known.untilMs > this.clock.monotonicMs()))
      return known.nodeId;
    const nodeId = this.view.catalog.get({ service: AGENT_SERVICE, id: agentId })?.instance.nodeId;
    if (nodeId === undefined) return undefined;
    this.note(agentId, nodeId, Number.POSITIVE_INFINITY);
    return nodeId;
  }

  /** An answer came from another process than the one that was asked: it is there. */
  learn(agentId: string, nodeId: string): void {
    this.note(agentId, nodeId, this.clock.monotonicMs() + LEARNED_MS);
  }

  /** An agent of this process has ended, or one that the view knew has left. */
  left(agentId: string): void {
    if (this.gone.size >= MAX_ENTRIES) this.gone.clear();
    this.gone.delete(agentId);
    this.gone.set(agentId, this.clock.monotonicMs());
  }

  /** How long an agent is still waited for that nobody has now; 0: not at all. */
  awayForMs(agentId: string): number {
    const leftAtMs = this.gone.get(agentId);
    if (leftAtMs === undefined) return 0;
    return Math.max(0, leftAtMs + AWAY_MS - this.clock.monotonicMs());
  }

  /** Whether an agent was there and has left: it may come back, with its node for instance. Of the last 100,000. */
  hasLeft(agentId: string): boolean {
    return this.gone.has(agentId);
  }

  close(): void {
    this.stopListening();
  }

  /** What was learned of a node that is gone. */
  private unlearn(nodeId: string): void {
    for (const [agentId, known] of this.known) {
      if (known.nodeId === nodeId && known.untilMs !== Number.POSITIVE_INFINITY) this.known.delete(agentId);
    }
  }

  private note(agentId: string, nodeId: string, untilMs: number): void {
    if (this.known.size >= MAX_ENTRIES) this.known.clear();
    this.known.set(agentId, { nodeId, untilMs });
  }
}
