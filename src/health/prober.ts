import { setMaxListeners } from 'node:events';
import { delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import { endpointText, type Instance, type InstanceKey, type InstanceStatus, type ProbeVerdict } from '../core/instance.js';
import type { Random } from '../core/random.js';
import type { Term } from '../store/election.js';
import type { Condition } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';
import {
  afterProbe,
  DEFAULT_PROBES,
  NEVER_PROBED,
  type ProbeOutcome,
  type ProbePolicy,
  type ProbeState,
  probeIntervalMs,
} from './probe-state.js';
import { countProbes, isMassFailure, type VerdictChange, verdictChange } from './verdict-plan.js';

/** The nodes, as the registry last saw them. */
export interface Nodes {
  /** Changes whenever `all` does. */
  readonly revision: bigint;
  all(): Iterable<Instance>;
}

/** Asks one node how it is. */
export interface NodeChecks {
  /** Ends within about `timeoutMs`, and soon after `signal` aborts; never rejects. Undefined: nothing was learned. */
  check(address: string, timeoutMs: number, signal: AbortSignal): Promise<ProbeOutcome | undefined>;
  /** No node is at this address any more. */
  forget(address: string): void;
}

/** Keeps what was found where everybody sees it. */
export interface Verdicts {
  /**
   * Puts a verdict into an instance's record (undefined: takes it away), only while the instance is in this life and `token` holds. False:
   * nothing was written, because it says so already or something else was faster. @throws what the store says.
   */
  judge(
    key: InstanceKey,
    probe: ProbeVerdict | undefined,
    basis: { readonly incarnation: bigint; readonly token: Condition; readonly signal: AbortSignal },
  ): Promise<boolean>;
}

export interface ProberDeps {
  readonly nodes: Nodes;
  readonly checks: NodeChecks;
  readonly verdicts: Verdicts;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Who finds it. */
  readonly registryId: string;
}

interface Tracked {
  node: Instance;
  state: ProbeState;
  dueAtMs: number;
  isProbed: boolean;
  /** Its verdict is not written before. */
  writeAtMs: number;
}

const TICK_MS = 50;
/** Enough for every node to be silent until the timeout at the highest rate. */
const MAX_CHECKS_AT_ONCE = 200;
const MAX_WRITES_AT_ONCE = 16;
/** The mirror shows a write well within this; one that lost against another is tried again after it. */
const WRITE_AGAIN_MS = 250;
/** A check that ends so much after its timeout was not timed by a process that ran: what it missed is no evidence. */
const STALL_MS = 500;
/** The others say themselves that they do not serve: not yet, or no more. */
const SERVING: ReadonlySet<InstanceStatus> = new Set(['up', 'degraded']);

/**
 * Checks every node that should serve, for one term of its registry as the leader, and keeps the nodes' records in step with what it
 * finds: each tick compares what is known with what the record shows, so that whatever came in between is made up for.
 */
export class Prober {
  private readonly tracked = new Map<string, Tracked>();
  private readonly underWay = new Set<Promise<void>>();
  private knownRevision: bigint | undefined;
  private checking = 0;
  private writing = 0;
  /** Whether verdicts are held back because too many nodes fail together. */
  private isHolding = false;
  private writesFail = false;

  constructor(
    private readonly deps: ProberDeps,
    private readonly term: Term,
    private readonly policy: ProbePolicy = DEFAULT_PROBES,
  ) {
    // Each check under way listens: they are bounded, and no leak that Node should warn of.
    setMaxListeners(MAX_CHECKS_AT_ONCE + MAX_WRITES_AT_ONCE + 10, term.signal);
  }

  /** Until the term ends. */
  async run(): Promise<void> {
    const { signal } = this.term;
    while (!signal.aborted) {
      this.follow();
      this.startChecks();
      this.startWrites();
      await delay(TICK_MS, signal, this.deps.clock).catch(() => undefined);
    }
    await Promise.all(this.underWay);
  }

  /** Takes up nodes that came and drops those that went. */
  private follow(): void {
    const { nodes, checks, clock, random } = this.deps;
    if (nodes.revision === this.knownRevision) return;
    this.knownRevision = nodes.revision;
    const there = new Map<string, Instance>();
    for (const node of nodes.all()) if (SERVING.has(node.status)) there.set(node.id, node);
    for (const [id, { node }] of this.tracked) {
      const now = there.get(id);
      if (now === undefined || endpointText(now.endpoint) !== endpointText(node.endpoint))
        checks.forget(endpointText(node.endpoint));
      if (now?.incarnation !== node.incarnation) this.tracked.delete(id);
    }
    const intervalMs = probeIntervalMs(there.size, this.policy);
    for (const [id, node] of there) {
      const tracked = this.tracked.get(id);
      if (tracked !== undefined) tracked.node = node;
      else {
        // By chance, so that all of them are spread over the interval.
        const dueAtMs = clock.monotonicMs() + random.next() * intervalMs;
        this.tracked.set(id, { node, state: adopted(node.probe), dueAtMs, isProbed: false, writeAtMs: 0 });
      }
    }
  }

  private startChecks(): void {
    const now = this.deps.clock.monotonicMs();
    const intervalMs = probeIntervalMs(this.tracked.size, this.policy);
    for (const tracked of this.tracked.values()) {
      if (this.checking >= MAX_CHECKS_AT_ONCE) return;
      if (tracked.dueAtMs > now || tracked.isProbed) continue;
      // In step with its first, however late this one is: so they stay spread.
      tracked.dueAtMs += intervalMs * Math.max(1, Math.ceil((now - tracked.dueAtMs) / intervalMs));
      this.keep(this.check(tracked));
    }
  }

  private async check(tracked: Tracked): Promise<void> {
    const { checks, clock } = this.deps;
    const { timeoutMs } = this.policy;
    const sentAtMs = clock.monotonicMs();
    tracked.isProbed = true;
    this.checking += 1;
    const outcome = await checks.check(endpointText(tracked.node.endpoint), timeoutMs, this.term.signal);
    tracked.isProbed = false;
    this.checking -= 1;
    if (outcome === undefined) return;
    if (outcome.kind === 'missed' && clock.monotonicMs() - sentAtMs > timeoutMs + STALL_MS) return;
    tracked.state = afterProbe(tracked.state, outcome, this.policy, clock.now());
  }

  private startWrites(): void {
    const now = this.deps.clock.monotonicMs();
    const mayMark = this.mayMark();
    for (const tracked of this.tracked.values()) {
      if (this.writing >= MAX_WRITES_AT_ONCE) return;
      const change = changeOf(tracked);
      if (change === undefined || tracked.writeAtMs > now || (change === 'mark' && !mayMark)) continue;
      this.keep(this.write(tracked, change));
    }
  }

  private mayMark(): boolean {
    const all = [...this.tracked.values()];
    const counts = countProbes(all.map(({ state }) => state));
    const isMass = isMassFailure(counts);
    if (isMass && !this.isHolding && all.some((tracked) => changeOf(tracked) === 'mark')) {
      this.isHolding = true;
      this.deps.logger.warn('too many nodes fail their health checks at once; no new verdicts', { ...counts });
    } else if (!isMass && this.isHolding) {
      this.isHolding = false;
      this.deps.logger.info('most nodes pass their health checks again; verdicts go on', { ...counts });
    }
    return !isMass;
  }

  private async write(tracked: Tracked, change: VerdictChange): Promise<void> {
    const { verdicts, clock, logger, registryId } = this.deps;
    const { node, state } = tracked;
    const { token, signal } = this.term;
    tracked.writeAtMs = Number.POSITIVE_INFINITY;
    this.writing += 1;
    const verdict =
      change === 'mark' && state.kind === 'failing'
        ? { failing: true, reason: state.reason, sinceMs: state.sinceMs, registryId }
        : undefined;
    try {
      const isWritten = await verdicts.judge(node, verdict, { incarnation: node.incarnation, token, signal });
      this.writesFail = false;
      if (isWritten && verdict !== undefined) {
        logger.warn('node fails its health checks', { nodeId: node.id, reason: verdict.reason });
      } else if (isWritten) logger.info('node passes its health checks again', { nodeId: node.id });
    } catch (error) {
      if (!signal.aborted && !this.writesFail) {
        this.writesFail = true;
        logger.warn('a verdict could not be written; trying on', { nodeId: node.id, reason: messageOf(error) });
      }
    }
    this.writing -= 1;
    tracked.writeAtMs = clock.monotonicMs() + WRITE_AGAIN_MS;
  }

  private keep(work: Promise<void>): void {
    this.underWay.add(work);
    void work.finally(() => this.underWay.delete(work));
  }
}

function changeOf({ state, node }: Tracked): VerdictChange | undefined {
  return verdictChange({ state, shown: node.probe });
}

/** What a leader before this one found stands until the node is seen to pass. */
function adopted(probe: ProbeVerdict | undefined): ProbeState {
  return probe?.failing === true ? { kind: 'failing', passes: 0, reason: probe.reason, sinceMs: probe.sinceMs } : NEVER_PROBED;
}
