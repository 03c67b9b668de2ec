import type { MessageOptions, RequestOptions, SendOptions, Subscription } from '../agent/messages.js';
import type { Clock } from '../core/clock.js';
import { invalidArgument, TroupeError } from '../core/errors.js';
import type { PayloadInput } from '../core/payload.js';
import type { Random } from '../core/random.js';
import { Hello } from '../gen/troupe/v1/messaging.js';
import { backoffMs } from '../resilience/backoff.js';
import { durationFromMs } from '../rpc/codec/time.js';
import type { RawClient } from '../rpc/raw-client.js';
import type { AttachedMessenger, AttachOptions } from './attach-options.js';
import { ProgramMessenger } from './program-messenger.js';
import { ProgramSession } from './program-session.js';
import { ProgramSubscriptions, TOPICS_AT_ONCE } from './program-subscriptions.js';
import { ProgramWork, type WorkingAgent } from './program-work.js';

export interface AttachDeps {
  readonly raw: RawClient;
  readonly clock: Clock;
  readonly random: Random;
}

/** One session, and what is worked on for it. */
interface Attachment {
  readonly session: ProgramSession;
  readonly work: ProgramWork;
}

type AttachState =
  /** It hangs on a node. */
  | { readonly kind: 'attached'; readonly attachment: Attachment }
  /** It tries to. */
  | { readonly kind: 'connecting'; readonly attachment: Attachment }
  /** It will try again. */
  | { readonly kind: 'waiting'; readonly attachment: Attachment; readonly disarm: () => void }
  | { readonly kind: 'closed' };

const BACKOFF = { initialMs: 100, capMs: 2_000 };
/** Where the session before was lost with its node, its id is free when that node's lease has expired. */
const ID_TAKEN_MS = 60_000;
const CLOSE_GRACE_MS = 10_000;

/** An agent that runs in this process and hangs on the cluster by a stream, which is made again when it breaks. */
export class AttachedAgent implements AttachedMessenger {
  /** Rejects with what ended it; resolves after `close`. */
  readonly closed: Promise<void>;
  private readonly messenger: ProgramMessenger;
  private state: AttachState;
  private readonly subscriptions: ProgramSubscriptions;
  private readonly asWorking: WorkingAgent = {
    place: () => this.place,
    subscribe: (pattern) => this.subscribe(pattern),
  };
  private place: { readonly agentId: string; readonly nodeId: string } = { agentId: '', nodeId: '' };
  private failures = 0;
  /** Since when it has no session. */
  private lostAtMs = 0;
  private wasAttached = false;
  private onAttached: () => void = () => undefined;
  private onClosed: (error?: TroupeError) => void = () => undefined;

  /** @internal */
  constructor(
    private readonly options: AttachOptions,
    private readonly deps: AttachDeps,
  ) {
    check(options);
    this.subscriptions = new ProgramSubscriptions(options.topics ?? [], deps.clock);
    this.closed = new Promise((resolve, reject) => {
      this.onClosed = (error) => {
        this.subscriptions.close(error ?? closed());
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    this.closed.catch(() => undefined);
    this.state = { kind: 'connecting', attachment: this.attachment() };
    this.messenger = new ProgramMessenger(() => this.session(), { deadlineMs: Number.POSITIVE_INFINITY, trace: undefined });
  }

  /** Its id in the cluster: with the name that was appended, for a replica. */
  get id(): string {
    return this.place.agentId;
  }

  /** The node that it is attached to, or was last. */
  get nodeId(): string {
    return this.place.nodeId;
  }

  /** Resolves when it is attached. @throws what keeps it out. @internal */
  async attach(): Promise<this> {
    const attached = new Promise<void>((resolve) => {
      this.onAttached = resolve;
    });
    this.connect();
    await Promise.race([attached, this.closed]);
    return this;
  }

  /** Takes nothing new, finishes what it has, at most for `graceMs` (10 s when not given), and leaves the cluster. */
  async close(graceMs = CLOSE_GRACE_MS): Promise<void> {
    const { state } = this;
    if (state.kind === 'closed') return;
    this.state = { kind: 'closed' };
    if (state.kind === 'waiting') state.disarm();
    const { session, work } = state.attachment;
    if (state.kind === 'attached') await this.within(graceMs, leave(state.attachment));
    work.cancel(new TroupeError('CANCELLED', 'CANCELLED', 'the agent ends'));
    session.end();
    this.onClosed();
  }

  send(to: string, payload?: PayloadInput, options?: SendOptions) {
    return this.messenger.send(to, payload, options);
  }
  request(to: string, payload?: PayloadInput, options?: RequestOptions) {
    return this.messenger.request(to, payload, options);
  }
  stream(to: string, payload?: PayloadInput, options?: RequestOptions) {
    return this.messenger.stream(to, payload, options);
  }
  async subscribe(pattern: string): Promise<Subscription> {
    if (this.options.receive === undefined)
      throw new TroupeError('FAILED_PRECONDITION', 'NO_RECEIVE', 'the agent takes no messages: give it `receive`');
    return this.subscriptions.add(pattern);
  }
  broadcast(topic: string, payload?: PayloadInput, options?: MessageOptions) {
    return this.messenger.broadcast(topic, payload, options);
  }

  private session(): ProgramSession {
    if (this.state.kind !== 'closed') return this.state.attachment.session;
    throw closed();
  }

  private attachment(): Attachment {
    /** Of a hello that is not answered yet. */
    let topics: readonly string[] | undefined;
    const session: ProgramSession = new ProgramSession(
      this.deps.raw,
      () => {
        topics = this.subscriptions.helloTopics;
        return helloOf(this.options, topics);
      },
      {
        attached: ({ id, nodeId }) => {
          this.place = { agentId: id, nodeId };
          this.failures = 0;
          this.wasAttached = true;
          if (this.isCurrent(session)) {
            this.state = { kind: 'attached', attachment };
            this.subscriptions.attached((change) => session.changeSubscriptions(change), topics);
            topics = undefined;
          }
          this.onAttached();
        },
        given: (envelope) => work.given(envelope),
        subscribed: (held, id) => {
          if (this.isCurrent(session)) this.subscriptions.told(held, id);
        },
        drains: () => this.moveOn(session),
        broken: (error) => this.broken(attachment, error),
      },
      this.deps.clock,
    );
    const work = new ProgramWork(this.options, session, this.asWorking);
    const attachment = { session, work };
    return attachment;
  }

  private isCurrent(session: ProgramSession): boolean {
    return this.state.kind !== 'closed' && this.state.attachment.session === session;
  }

  private connect(): void {
    if (this.state.kind === 'closed') return;
    const { attachment } = this.state;
    this.state = { kind: 'connecting', attachment };
    attachment.session.connect();
  }

  /** The node ends: another session takes over, and the old one finishes what it has. */
  private moveOn(old: ProgramSession): void {
    if (this.state.kind !== 'attached' || !this.isCurrent(old)) return;
    const { attachment } = this.state;
    this.begin();
    void leave(attachment).then(() => old.end());
  }

  private begin(): void {
    this.lostAtMs = this.deps.clock.monotonicMs();
    this.subscriptions.detached();
    this.state = { kind: 'connecting', attachment: this.attachment() };
    this.connect();
  }

  private broken({ session, work }: Attachment, error: TroupeError | undefined): void {
    const isCurrent = this.isCurrent(session);
    const canResume = session.canResume && !isOfSession(error);
    if (!isCurrent || !canResume) {
      // Nobody waits any more for what was begun.
      const lost = new TroupeError('ABORTED', 'OUTCOME_UNKNOWN', 'the agent lost its place in the cluster', { cause: error });
      work.cancel(lost);
      session.over(lost);
    }
    if (!isCurrent || this.state.kind === 'closed') return;
    this.subscriptions.detached();
    if (!this.mayTryAgain(error)) {
      this.state = { kind: 'closed' };
      this.onClosed(error ?? new TroupeError('UNAVAILABLE', 'SESSION_ENDED', 'the node ended the stream'));
      return;
    }
    this.failures += 1;
    if (!canResume && session.canResume) this.lostAtMs = this.deps.clock.monotonicMs();
    const attachment = canResume ? this.state.attachment : this.attachment();
    const pauseMs = Math.max(backoffMs(this.failures, BACKOFF, this.deps.random), this.failures > 1 ? BACKOFF.initialMs / 2 : 0);
    const disarm = this.deps.clock.after(pauseMs, () => this.connect());
    this.state = { kind: 'waiting', attachment, disarm };
  }

  private mayTryAgain(error: TroupeError | undefined): boolean {
    if (error === undefined) return true;
    // Who has never been in is told why not.
    if (!this.wasAttached) return false;
    if (error.reason === 'AGENT_EXISTS') return this.deps.clock.monotonicMs() - this.lostAtMs < ID_TAKEN_MS;
    return error.code === 'UNAVAILABLE' || error.reason === error.code || PASSING.has(error.reason);
  }

  private async within(ms: number, work: Promise<void>): Promise<void> {
    let disarm: () => void = () => undefined;
    const late = new Promise<void>((resolve) => {
      disarm = this.deps.clock.after(ms, resolve);
    });
    await Promise.race([work, late]);
    disarm();
  }
}

function closed(): TroupeError {
  return new TroupeError('CANCELLED', 'CANCELLED', 'the agent was closed');
}

/** Resolves when nothing new comes, and what came is done. */
async function leave({ session, work }: Attachment): Promise<void> {
  await session.drain();
  await work.whenIdle();
}

/** The session is gone for good: what comes next is a new one. */
function isOfSession(error: TroupeError | undefined): boolean {
  return error === undefined || (error.reason !== error.code && !KEEPS.has(error.reason));
}

/** Ends of streams after which the session is still there. */
const KEEPS: ReadonlySet<string> = new Set(['NODE_LOST', 'SESSION_SILENT', 'NOT_CONNECTED', 'NO_HEALTHY_NODE']);
/** Refusals that pass. */
const PASSING: ReadonlySet<string> = new Set(['UNKNOWN_SESSION', 'NODE_DRAINING', 'TOO_MANY_SESSIONS', 'NO_HELLO']);

/** @throws INVALID_ARGUMENT: what only this end can know to be wrong; the node checks the rest. */
function check({ id, capabilities = [], topics = [], run, receive }: AttachOptions): void {
  if (id === '') throw invalidArgument('id', 'is required');
  if (capabilities.length > 0 && run === undefined) throw invalidArgument('run', 'is required where there are capabilities');
  if (topics.length > 0 && receive === undefined) throw invalidArgument('receive', 'is required where there are topics');
  if (topics.length > TOPICS_AT_ONCE)
    throw invalidArgument('topics', `at most ${TOPICS_AT_ONCE} are allowed, got ${topics.length}`);
}

function helloOf(options: AttachOptions, topics: readonly string[]): Hello {
  const { id, capabilities = [], topics: _topics, run: _run, receive: _receive, metadata = {}, graceMs, ...sizes } = options;
  return Hello.fromPartial({
    ...sizes,
    agentId: id,
    capabilities: [...capabilities],
    topics: [...topics],
    metadata: new Map(Object.entries(metadata)),
    ...(graceMs === undefined ? {} : { grace: durationFromMs(graceMs) }),
  });
}
