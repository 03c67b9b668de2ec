import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { LinkHello, OutcomeEnvelope, TaskEnvelope } from '../gen/troupe/internal/v1/link.js';
import { backoffMs } from '../resilience/backoff.js';
import type { Logger } from '../telemetry/logger.js';
import type { EnvelopeReader } from './envelope-reader.js';
import type { OutgoingEnvelope } from './envelope-writer.js';
import type { FramePool } from './frame-pool.js';
import { FrameQueue } from './frame-queue.js';
import { LinkSession, type LinkStream, type SessionHandlers, WINDOW_BYTES } from './link-session.js';
import type { LinkTraffic } from './link-traffic.js';

/** What comes from peers, and what becomes of what was sent to them. */
export interface PeerHandlers {
  envelope(peer: Peer, envelope: EnvelopeReader): void;
  task(peer: Peer, task: TaskEnvelope): void;
  outcome(peer: Peer, outcome: OutcomeEnvelope): void;
  /** The link broke. What `peer.holds` says is still queued and goes over the next one; the fate of all else is unknown. */
  broken(peer: Peer, error: TroupeError): void;
  /** What `peer.holds` says will not be sent: nobody there has seen it. All else has been told of. */
  unsent(peer: Peer, error: TroupeError): void;
}

export interface PeerDeps {
  /** This process. */
  readonly nodeId: string;
  /** Which life of it. */
  readonly life: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly handlers: PeerHandlers;
  /** Counts what goes over all links. */
  readonly traffic: LinkTraffic;
  /** Buffers of all links. */
  readonly pool: FramePool;
  /** Numbers the links that this process opens, whatever peer to: from 1, upwards. */
  readonly nextAttempt: () => bigint;
  /** Opens a stream to a process; undefined where nobody knows where it is. */
  readonly dial: (nodeId: string) => LinkStream | undefined;
}

/** What may wait for a peer that does not read. */
const QUEUE_BYTES = 7 * 1024 * 1024;
/** Answers included, for a peer that has taken nothing for a while: with the window of a session, 16 MiB at most. */
const ANSWERS_BYTES = 12 * 1024 * 1024;
const STALLED_MS = 1_000;
/** Answers and results that may wait in a burst: each was asked for, and none can be asked for again. */
const OUTCOME_BYTES = 64 * 1024 * 1024;
/** A process that does not answer within this is not there for now. */
const DIAL_MS = 1_000;
const BACKOFF = { initialMs: 100, capMs: 2_000 };

type PeerState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'dialling'; readonly session: LinkSession; readonly cancelTimer: () => void }
  | { readonly kind: 'up'; readonly session: LinkSession; readonly isOurs: boolean }
  /** It could not be reached: until then nothing is tried. */
  | { readonly kind: 'waiting'; readonly cancelTimer: () => void }
  | { readonly kind: 'closed'; readonly error: TroupeError };

const IDLE: PeerState = { kind: 'idle' };

/**
 * Another process, and the one link to it: opened when there is something to send, by either end. Where both open one at once, that of the end whose id is smaller
 * survives, and nothing is lost, since nothing is sent before a link is taken.
 */
export class Peer implements SessionHandlers {
  private state: PeerState = IDLE;
  private readonly queue: FrameQueue;
  private failures = 0;
  /** The number of the last link that this end opened. */
  private attempts = 0n;
  /** The number of the last link of the other end that was taken, and which life of it that was. */
  private accepted = 0n;
  private life = '';
  private isDraining = false;
  /** This process will end. */
  private isEnding = false;

  constructor(
    readonly nodeId: string,
    private readonly deps: PeerDeps,
  ) {
    this.queue = new FrameQueue(deps.pool);
  }

  /** Whether a link is there. */
  get isUp(): boolean {
    return this.state.kind === 'up';
  }

  /** Bytes that wait to be written. */
  get queuedBytes(): number {
    return this.queue.bytes;
  }

  /** Sends something that is new. Gives the number of its frame. @throws UNAVAILABLE: it was not sent. */
  send(envelope: OutgoingEnvelope): number {
    this.open();
    const frame = this.queue.envelope(envelope);
    this.kick();
    return frame;
  }

  /** Sends what somebody there can do without, also when it drains or is behind; false where it cannot be sent. */
  tell(envelope: OutgoingEnvelope): boolean {
    if (!this.mayAnswer()) return false;
    this.queue.envelope(envelope);
    this.kick();
    return true;
  }

  /**
   * Sends what somebody there waits for, also when it drains or is behind. Who does not take what it asked for loses its link, and learns so
   * that the outcome of all is unknown.
   */
  answer(envelope: OutgoingEnvelope): void {
    if (!this.tell(envelope)) this.overflow();
  }

  /** Sends a task. Gives the number of its frame. @throws UNAVAILABLE: it was not sent. */
  sendTask(id: number, encoded: Buffer): number {
    this.open();
    const frame = this.queue.task(id, encoded);
    this.kickTogether();
    return frame;
  }

  /** Tells of a task that was sent before: that it is called off, for instance. What was on a link that broke is over anyway. */
  tellTask(id: number, encoded: Buffer): void {
    // Without a link there is only what has not been sent.
    if (this.state.kind !== 'up' && this.queue.isEmpty) return;
    this.queue.task(id, encoded);
    this.kickTogether();
  }

  /** Tells what became of a task. Who does not take what it asked for loses its link, and learns so that the outcome of all is unknown. */
  answerTask(id: number, encoded: Buffer): void {
    if (this.state.kind !== 'up') return;
    if (this.queue.bytes < OUTCOME_BYTES) {
      this.queue.outcome(id, encoded);
      this.kickTogether();
    } else this.overflow();
  }

  /** Whether a frame has not left, or not wholly. */
  holds(frame: number): boolean {
    return this.queue.holds(frame);
  }

  /** Takes a link that the other end opened. @throws ABORTED / LINK_CROSSED: ours survives. */
  accept(session: LinkSession, { life, attempt, accepted, acceptedLife, credit }: LinkHello): void {
    const { state, deps } = this;
    if (state.kind === 'closed') throw state.error;
    // It had not seen our last link when it opened this one: they crossed.
    const hasSeenOurs = acceptedLife === deps.life && accepted >= this.attempts;
    const isOlder =
      state.kind === 'dialling' ? deps.nodeId < this.nodeId : state.kind === 'up' && state.isOurs && life === this.life;
    if (!hasSeenOurs && isOlder)
      throw new TroupeError('ABORTED', 'LINK_CROSSED', 'both ends opened a link; the other one survives');
    this.life = life;
    this.accepted = attempt;
    session.handlers = this;
    const replaced = new TroupeError('UNAVAILABLE', 'LINK_REPLACED', 'the other end opened a new link');
    const wasUp = this.leave(replaced);
    session.sayWelcome({ nodeId: deps.nodeId, life: deps.life, credit: WINDOW_BYTES });
    this.enter(session, credit, false);
    // Now: what those above send when they hear of it goes over the new link.
    if (wasUp) deps.handlers.broken(this, replaced);
  }

  /** Tells the other end that this one will end. Resolves when all that it sent before it knew is here. */
  async drain(): Promise<void> {
    this.isEnding = true;
    if (this.state.kind === 'up') await this.state.session.sayDrain();
  }

  /** Ends the link when all that is queued was sent. */
  finish(): void {
    if (this.state.kind === 'up') this.state.session.finish();
  }

  /** The process is at another address than when it was dialled: what was opened to where it was ends, and what waits goes to where it is. */
  moved(): void {
    const { state } = this;
    if (state.kind === 'idle' || state.kind === 'closed' || (state.kind === 'up' && !state.isOurs)) return;
    const error = new TroupeError('UNAVAILABLE', 'NODE_MOVED', `node "${this.nodeId}" is at another address now`);
    this.failures = 0;
    if (this.leave(error)) this.deps.handlers.broken(this, error);
    if (!this.queue.isEmpty && this.state.kind === 'idle') this.dial();
  }

  /** Ends the link at once, for good. */
  close(error: TroupeError): void {
    if (this.state.kind === 'closed') return;
    this.leave(error);
    this.state = { kind: 'closed', error };
    // First what was written: what waits is known not to have been.
    this.deps.handlers.broken(this, error);
    this.giveUpQueue(notSent(error.reason, error.message, this.nodeId));
  }

  // What comes over the link.

  hello(): void {
    throw new TroupeError('FAILED_PRECONDITION', 'HELLO_TWICE', 'hello comes first, and once');
  }

  welcome(session: LinkSession, { nodeId, life, credit }: { nodeId: string; life: string; credit: number }): void {
    if (this.state.kind !== 'dialling' || this.state.session !== session) return;
    if (nodeId !== this.nodeId) {
      session.abort(new TroupeError('UNAVAILABLE', 'WRONG_NODE', `"${nodeId}" answers for "${this.nodeId}"`));
      return;
    }
    this.state.cancelTimer();
    // Links that an earlier life of it opened say nothing of this one's.
    if (life !== this.life) this.accepted = 0n;
    this.life = life;
    this.enter(session, credit, true);
  }

  envelope(envelope: EnvelopeReader): void {
    this.deps.handlers.envelope(this, envelope);
  }

  task(task: TaskEnvelope): void {
    this.deps.handlers.task(this, task);
  }

  outcome(outcome: OutcomeEnvelope): void {
    this.deps.handlers.outcome(this, outcome);
  }

  drains(session: LinkSession): void {
    if (this.state.kind === 'up' && this.state.session === session) this.isDraining = true;
  }

  ended(session: LinkSession, error: TroupeError): void {
    const { state, deps } = this;
    if (state.kind === 'dialling' && state.session === session) {
      state.cancelTimer();
      // The other end's link is on its way, or there already.
      if (error.reason === 'LINK_CROSSED') {
        this.failures = 0;
        this.state = { kind: 'waiting', cancelTimer: deps.clock.after(DIAL_MS, () => this.backToIdle()) };
        return;
      }
      this.failed(error);
    } else if (state.kind === 'up' && state.session === session) {
      this.left();
      deps.logger.debug('link broke', { peer: this.nodeId, reason: error.message });
      deps.handlers.broken(this, error);
      if (!this.queue.isEmpty && this.state.kind === 'idle') this.dial();
    }
  }

  private enter(session: LinkSession, credit: number, isOurs: boolean): void {
    this.state = { kind: 'up', session, isOurs };
    this.failures = 0;
    session.begin(this.queue, credit);
    if (this.isEnding) void session.sayDrain();
  }

  /** Ends what is there, without a word to those above; whether that was a link. */
  private leave(error: TroupeError): boolean {
    const { state } = this;
    this.state = IDLE;
    if (state.kind === 'waiting') state.cancelTimer();
    if (state.kind === 'dialling') {
      state.cancelTimer();
      state.session.abort(error);
    }
    if (state.kind === 'up') {
      state.session.abort(error);
      this.left();
    }
    return state.kind === 'up';
  }

  /** The link is over. */
  private left(): void {
    this.state = IDLE;
    // That it drains was said of this link: whoever answers under its name next may not.
    this.isDraining = false;
    this.queue.restart();
  }

  private kick(): void {
    const { state } = this;
    if (state.kind === 'up') state.session.flushSoon();
    else if (state.kind === 'idle') this.dial();
  }

  private kickTogether(): void {
    const { state } = this;
    if (state.kind === 'up') state.session.flushTogether();
    else this.kick();
  }

  /** Before anything is queued: what cannot be sent is refused at once, by whoever sends it. */
  private open(): void {
    if (this.state.kind === 'idle') this.dial();
    const { state } = this;
    if (state.kind === 'closed') throw notSent(state.error.reason, state.error.message, this.nodeId);
    if (state.kind === 'waiting' && this.failures > 0)
      throw notSent('NOT_CONNECTED', `node "${this.nodeId}" is not reached`, this.nodeId);
    if (this.isDraining) throw notSent('NODE_DRAINING', `node "${this.nodeId}" drains and takes nothing new`, this.nodeId);
    if (this.queue.bytes >= QUEUE_BYTES) throw notSent('LINK_FULL', `the link to node "${this.nodeId}" is full`, this.nodeId);
  }

  /** Answers are bounded by what was asked, but not by somebody who does not read. */
  private mayAnswer(): boolean {
    const { state, queue } = this;
    if (state.kind === 'closed') return false;
    const isMoving = state.kind === 'up' && state.session.stalledMs < STALLED_MS;
    return queue.bytes < (isMoving ? OUTCOME_BYTES : ANSWERS_BYTES);
  }

  private dial(): void {
    const { deps } = this;
    const stream = deps.dial(this.nodeId);
    if (stream === undefined) {
      this.failed(new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', `nobody knows where node "${this.nodeId}" is`));
      return;
    }
    this.attempts = deps.nextAttempt();
    const session = new LinkSession(stream, true, deps, this);
    const cancelTimer = deps.clock.after(DIAL_MS, () =>
      session.abort(new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', `node "${this.nodeId}" did not answer within ${DIAL_MS} ms`)),
    );
    this.state = { kind: 'dialling', session, cancelTimer };
    session.sayHello({
      nodeId: deps.nodeId,
      life: deps.life,
      attempt: this.attempts,
      accepted: this.accepted,
      credit: WINDOW_BYTES,
      toNodeId: this.nodeId,
      acceptedLife: this.life,
    });
  }

  /** It could not be reached: what waits is given up, and nothing is tried for a while. */
  private failed(error: TroupeError): void {
    const { deps } = this;
    this.failures += 1;
    const cancelTimer = deps.clock.after(backoffMs(this.failures, BACKOFF, deps.random), () => this.backToIdle());
    this.state = { kind: 'waiting', cancelTimer };
    const reason = error.code === 'UNIMPLEMENTED' ? 'LINK_UNSUPPORTED' : 'NOT_CONNECTED';
    this.giveUpQueue(notSent(reason, `node "${this.nodeId}" is not reached: ${error.message}`, this.nodeId));
  }

  private backToIdle(): void {
    if (this.state.kind !== 'waiting') return;
    this.state = IDLE;
    if (!this.queue.isEmpty) this.dial();
  }

  private overflow(): void {
    if (this.state.kind !== 'up') return;
    const message = `node "${this.nodeId}" does not take the answers that it asked for`;
    const error = new TroupeError('RESOURCE_EXHAUSTED', 'LINK_FULL', message);
    this.leave(error);
    this.deps.handlers.broken(this, error);
    this.giveUpQueue(notSent('LINK_FULL', message, this.nodeId));
  }

  private giveUpQueue(error: TroupeError): void {
    this.deps.handlers.unsent(this, error);
    this.queue.clear();
  }
}

/** What says that nobody there has seen it. */
export function notSent(reason: string, message: string, nodeId: string): TroupeError {
  return new TroupeError('UNAVAILABLE', reason, message, { metadata: { started: 'false', node_id: nodeId } });
}
