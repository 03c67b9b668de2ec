import { setMaxListeners } from 'node:events';
import type { Channel } from '@grpc/grpc-js';
import type { Attributes } from '@opentelemetry/api';
import type { Client } from 'nice-grpc';
import { checkManifest, type ManifestInput } from '../agent/manifest.js';
import type { Reply, RequestOptions } from '../agent/messages.js';
import { HOST_PORT_RULE, isHostPort } from '../core/address.js';
import { systemClock } from '../core/clock.js';
import { abortError, TroupeError } from '../core/errors.js';
import { newId, type TaskId } from '../core/ids.js';
import type { PayloadInput } from '../core/payload.js';
import { systemRandom } from '../core/random.js';
import { RoutedRunRequest, RoutedRunResponse } from '../gen/troupe/internal/v1/routed.js';
import type { AgentStatus } from '../gen/troupe/v1/agent.js';
import type { Instance as InstanceMessage } from '../gen/troupe/v1/instance.js';
import { type DrainResponse, type GetStatusResponse, NodeDefinition, type WatchHealthResponse } from '../gen/troupe/v1/node.js';
import { type GetStatsResponse, RegistryDefinition } from '../gen/troupe/v1/registry.js';
import { connected, isConnected, openChannel } from '../rpc/channels.js';
import { createClient, type TimeoutOption } from '../rpc/client.js';
import { manifestToMessage } from '../rpc/codec/manifest.js';
import { durationFromMs, msFromDuration } from '../rpc/codec/time.js';
import { encodeMessage } from '../rpc/encode.js';
import { RawClient } from '../rpc/raw-client.js';
import { RenewedChannel } from '../rpc/renewed-channel.js';
import type { AttachOptions } from './attach-options.js';
import { AttachedAgent } from './attached-agent.js';
import { callOptions, DEADLINE_GRACE_MS, DEFAULT_TIMEOUT_MS, late, PAGE_SIZE } from './call-options.js';
import { inSpan, serverAttributes, streamInSpan } from './client-span.js';
import { cancellable, MessageCalls } from './message-calls.js';
import type {
  BroadcastOptions,
  ClientSendOptions,
  DeadLetterList,
  Receipts,
  SubscribeOptions,
  TopicInterest,
  TopicMessage,
} from './messages.js';
import { type TaskEvent, TaskResult } from './result.js';
import { resuming } from './resuming-stream.js';
import { milliseconds, type RunOptions, type RunStreamOptions, routedTask } from './run-options.js';
import { taskEvents } from './task-events.js';

export const DEFAULT_ADDRESS = '127.0.0.1:8080';
const CONNECT_TIMEOUT_MS = 3_000;
const DEFAULT_RESUME_WINDOW_MS = 30_000;

export interface ConnectOptions {
  /** How long control calls (lists, deployments) may take; 30 s when not given. */
  readonly timeoutMs?: number;
}

export interface ListOptions {
  readonly service?: string;
  readonly capabilities?: readonly string[];
  /** Told of each page how old it is: more than a few seconds while the registry is away, and the gateway lists what it knew last. */
  readonly onAge?: (ageMs: number) => void;
}

interface ControlOptions extends TimeoutOption {
  readonly signal: AbortSignal;
}

/**
 * A client of a cluster through one address: a gateway's (or a node's, for tasks). Every method throws TroupeError: the codes
 * of the contract, and UNAVAILABLE / NOT_CONNECTED when nobody answers at the address.
 */
export class TroupeClient {
  /** Of tasks. */
  private readonly channels: RenewedChannel;
  private readonly raw: RawClient;
  private readonly messages: MessageCalls;
  /** Of control calls, connected by the first. */
  private readonly channel: Channel;
  private readonly registry: Client<typeof RegistryDefinition, TimeoutOption>;
  private readonly node: Client<typeof NodeDefinition, TimeoutOption>;
  private readonly timeoutMs: number;
  /** For its spans. */
  private readonly server: Attributes;
  private readonly closing = new AbortController();

  constructor(
    readonly address: string,
    { timeoutMs = DEFAULT_TIMEOUT_MS }: ConnectOptions = {},
  ) {
    // Every stream and control call that is under way listens.
    setMaxListeners(0, this.closing.signal);
    this.channels = new RenewedChannel(() => openChannel(address));
    this.raw = new RawClient(this.channels);
    this.messages = new MessageCalls(this.raw, this.closing.signal);
    this.channel = openChannel(address);
    this.registry = createClient(RegistryDefinition, this.channel);
    this.node = createClient(NodeDefinition, this.channel);
    this.timeoutMs = timeoutMs;
    this.server = serverAttributes(address);
  }

  /** Resolves when the address answers. @throws UNAVAILABLE / NOT_CONNECTED. */
  async ready(timeoutMs = CONNECT_TIMEOUT_MS): Promise<void> {
    await this.reached(this.channels.channel, timeoutMs);
  }

  /** Runs a task on any agent that has all of `capabilities`, and waits for its result. */
  async run(capabilities: string | readonly string[], input?: PayloadInput, options: RunOptions = {}): Promise<TaskResult> {
    const { signal } = options;
    if (signal?.aborted) throw abortError(signal);
    await this.ready();
    const request = encodeMessage(RoutedRunRequest, { task: routedTask(capabilities, input, options) });
    const call = { path: '/troupe.v1.Tasks/Run', request, missing: notEnded(capabilities, options) };
    const attributes = { ...this.server, 'troupe.capabilities': [capabilities].flat() };
    const response = await inSpan('troupe.v1.Tasks/Run', attributes, options, (traced) => cancellable(this.raw, call, traced));
    return new TaskResult(RoutedRunResponse.decode(response).result);
  }

  /**
   * Runs a task and gives its events as they come; the last is the result. Leaving the loop cancels the task. Survives a lost connection for
   * `resumeWindowMs`: each event comes once, in order.
   */
  runStream(
    capabilities: string | readonly string[],
    input?: PayloadInput,
    options: RunStreamOptions = {},
  ): AsyncGenerator<TaskEvent, void, undefined> {
    const attributes = { ...this.server, 'troupe.capabilities': [capabilities].flat() };
    return streamInSpan('troupe.v1.Tasks/RunStream', attributes, options, (traced) => this.stream(capabilities, input, traced));
  }

  private async *stream(
    capabilities: string | readonly string[],
    input: PayloadInput,
    options: RunStreamOptions,
  ): AsyncGenerator<TaskEvent, void, undefined> {
    const { signal, idempotent = false, resumeWindowMs = DEFAULT_RESUME_WINDOW_MS } = options;
    const id = options.id ?? newId<TaskId>('task', systemRandom);
    const task = routedTask(capabilities, input, { ...options, id });
    // A closed client must say that nobody reads any more: a connection that just ends is one that somebody comes back to.
    const ends = signal === undefined ? this.closing.signal : AbortSignal.any([signal, this.closing.signal]);
    const call = { ...callOptions(options), graceMs: DEADLINE_GRACE_MS, signal: ends };
    const resumeWindow = resumeWindowMs === 0 ? undefined : durationFromMs(milliseconds('resumeWindowMs', resumeWindowMs));
    await this.ready();
    const events = resuming({
      open: (from) =>
        taskEvents(
          this.raw,
          from === undefined
            ? { task, resumeWindow, resume: undefined }
            : { task: undefined, resumeWindow, resume: { taskId: id, ...from } },
          call,
        ),
      ready: () => this.ready(),
      windowMs: resumeWindowMs,
      idempotent,
      signal,
    });
    let missing = notEnded(capabilities, options);
    try {
      for await (const event of events) {
        if (event.kind === 'routed') missing = `agent "${event.agentId}" on node "${event.nodeId}" did not end the task`;
        yield event;
      }
    } catch (error) {
      throw ends.aborted ? error : late(error, missing, options);
    }
  }

  /**
   * Makes this process an agent of the cluster: `run` gets tasks, `receive` messages, for as long as its connection lives. Where that breaks it is made
   * again, and nothing that was acknowledged is lost within the grace time.
   * @throws ALREADY_EXISTS (the id is taken), INVALID_ARGUMENT, UNAVAILABLE.
   */
  async attachAgent(options: AttachOptions): Promise<AttachedAgent> {
    await this.ready();
    const agent = new AttachedAgent(options, { raw: this.raw, clock: systemClock, random: systemRandom });
    const onClosing = () => void agent.close(0);
    this.closing.signal.addEventListener('abort', onClosing, { once: true });
    void agent.closed.catch(() => undefined).finally(() => this.closing.signal.removeEventListener('abort', onClosing));
    return agent.attach();
  }

  /** Sends a message to an agent: true when its mailbox has it. @throws as Messenger.send. */
  async send(to: string, input?: PayloadInput, options: ClientSendOptions = {}): Promise<true> {
    await this.ready();
    return inSpan('troupe.v1.Messaging/Send', { ...this.server, 'troupe.message.to': to }, options, (traced) =>
      this.messages.send(to, input, traced),
    );
  }

  /** Asks an agent and waits for its answer. @throws as Messenger.request. */
  async request(to: string, input?: PayloadInput, options: RequestOptions = {}): Promise<Reply> {
    await this.ready();
    return inSpan('troupe.v1.Messaging/Request', { ...this.server, 'troupe.message.to': to }, options, (traced) =>
      this.messages.request(to, input, traced),
    );
  }

  /** Sends a message to all that subscribe to a topic: whether the mailbox of each has it, by id. @throws INVALID_ARGUMENT (the topic). */
  async broadcast(topic: string, input?: PayloadInput, options: BroadcastOptions = {}): Promise<Receipts> {
    await this.ready();
    return inSpan('troupe.v1.Messaging/Broadcast', { ...this.server, 'troupe.message.topic': topic }, options, (traced) =>
      this.messages.broadcast(topic, input, traced),
    );
  }

  /**
   * What is broadcast to topics (`*` stands for one name, `>` at the end for one or more), from when the cluster knows of the subscription:
   * `onSubscribed` tells. Begins with the first step of the loop; leaving the loop ends it. Who does not read loses what does not fit into 1,000
   * messages or 8 MiB: their senders learn of it. @throws UNAVAILABLE when the connection is lost: subscribe again.
   */
  async *subscribe(
    topics: string | readonly string[],
    options: SubscribeOptions = {},
  ): AsyncGenerator<TopicMessage, void, undefined> {
    await this.ready();
    yield* this.messages.subscribe(typeof topics === 'string' ? [topics] : topics, options);
  }

  /** The topics that somebody subscribes to, by pattern. */
  async topics(): Promise<TopicInterest[]> {
    await this.ready();
    return this.messages.topics(this.timeoutMs);
  }

  /** The last `most` messages that a process could not deliver; '': the process at the address. */
  async deadLetters(nodeId = '', most = 1000): Promise<DeadLetterList> {
    await this.ready();
    return this.messages.deadLetters(nodeId, most, this.timeoutMs);
  }

  /** Everything that is registered, by service and id. */
  async instances({ service = '', capabilities = [], onAge }: ListOptions = {}): Promise<InstanceMessage[]> {
    const all: InstanceMessage[] = [];
    let pageToken = '';
    do {
      const page = await this.control((options) =>
        this.registry.listInstances({ service, capabilities: [...capabilities], pageSize: PAGE_SIZE, pageToken }, options),
      );
      all.push(...page.instances);
      if (page.age !== undefined) onAge?.(msFromDuration(page.age));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return all;
  }

  /** The nodes, by id. */
  nodes(): Promise<InstanceMessage[]> {
    return this.instances({ service: 'node' });
  }

  /** The agents of one node, as they are now. At a gateway; at a node, without `nodeId`, its own. */
  async agentsOf(nodeId: string): Promise<AgentStatus[]> {
    const all: AgentStatus[] = [];
    let pageToken = '';
    do {
      const page = await this.control((options) => this.node.listAgents({ nodeId, pageSize: PAGE_SIZE, pageToken }, options));
      all.push(...page.agents);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return all;
  }

  /** What a router (the process at the address, or `nodeId`) makes of nodes and agents: all that are not healthy, then every transition. */
  async *watchHealth(nodeId = '', signal?: AbortSignal): AsyncGenerator<WatchHealthResponse, void, undefined> {
    await this.reached(this.channel);
    yield* this.node.watchHealth(
      { nodeId },
      { signal: signal === undefined ? this.closing.signal : AbortSignal.any([signal, this.closing.signal]) },
    );
  }

  stats(): Promise<GetStatsResponse> {
    return this.control((options) => this.registry.getStats({}, options));
  }

  /** How a node is; '' for the process at the address. */
  status(nodeId = ''): Promise<GetStatusResponse> {
    return this.control((options) => this.node.getStatus({ nodeId }, options));
  }

  /** Activates an agent: on `nodeId`, or on the least loaded node that has its kind. Answers when it is running. */
  async deploy(manifest: ManifestInput, nodeId = ''): Promise<AgentStatus> {
    const message = manifestToMessage(checkManifest(manifest));
    const { agent } = await this.control((options) => this.node.deployAgent({ manifest: message, nodeId }, options));
    return required(agent);
  }

  /** Stops an agent; what it works on may finish for `graceMs` (10 s when not given). */
  async undeploy(agentId: string, graceMs?: number): Promise<AgentStatus> {
    const { agent } = await this.control((options) =>
      this.node.undeployAgent({ agentId, ...grace(graceMs) }, { ...options, timeoutMs: this.timeoutMs + (graceMs ?? 0) }),
    );
    return required(agent);
  }

  /** Drains a node: no new work, what runs may finish for `graceMs` (20 s when not given). */
  drain(nodeId: string, graceMs?: number): Promise<DrainResponse> {
    return this.control((options) =>
      this.node.drain({ nodeId, ...grace(graceMs) }, { ...options, timeoutMs: this.timeoutMs + (graceMs ?? 0) }),
    );
  }

  /** Ends the connection; calls under way end with CANCELLED. */
  close(): void {
    this.closing.abort(new TroupeError('CANCELLED', 'CLIENT_CLOSED', 'the client was closed'));
    this.channels.close();
    this.channel.close();
  }

  private async control<T>(call: (options: ControlOptions) => Promise<T>): Promise<T> {
    await this.reached(this.channel);
    return call({ timeoutMs: this.timeoutMs, signal: this.closing.signal });
  }

  private async reached(channel: Channel, timeoutMs = CONNECT_TIMEOUT_MS): Promise<void> {
    if (!isConnected(channel)) await connected(channel, this.address, timeoutMs);
  }
}

/**
 * Connects to a cluster: `address` is a gateway's `host:port`. Opens its connection with the first call.
 *
 * @example
 * const troupe = connect('127.0.0.1:8080');
 * const result = await troupe.run('greeting', 'Ada');
 * console.log(result.json());
 * troupe.close();
 *
 * @throws TroupeError INVALID_ARGUMENT when `address` is not `host:port`.
 */
export function connect(address = DEFAULT_ADDRESS, options: ConnectOptions = {}): TroupeClient {
  if (!isHostPort(address))
    throw new TroupeError(
      'INVALID_ARGUMENT',
      'INVALID_FIELD',
      `address: "${address}" is not ${HOST_PORT_RULE}, such as ${DEFAULT_ADDRESS}`,
    );
  return new TroupeClient(address, options);
}

/** Of a task whose deadline passes. */
function notEnded(capabilities: string | readonly string[], { agentId }: RunOptions): string {
  return agentId === undefined
    ? `no agent that offers ${[capabilities].flat().join(', ')} ended the task`
    : `agent "${agentId}" did not end the task`;
}

function grace(graceMs: number | undefined) {
  return graceMs === undefined ? {} : { grace: durationFromMs(graceMs) };
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TroupeError('INTERNAL', 'EMPTY_ANSWER', 'the cluster sent an empty answer');
  return value;
}
