import { setMaxListeners } from 'node:events';
import type { Channel } from '@grpc/grpc-js';
import type { Client } from 'nice-grpc';
import { checkManifest, type ManifestInput } from '../agent/manifest.js';
import { abortError, deadlineExceeded, TroupeError } from '../core/errors.js';
import { newId, type TaskId } from '../core/ids.js';
import type { PayloadInput } from '../core/payload.js';
import { systemRandom } from '../core/random.js';
import {
  RoutedRunRequest,
  RoutedRunResponse,
  RoutedRunStreamRequest,
  RoutedRunStreamResponse,
} from '../gen/troupe/internal/v1/routed.js';
import type { AgentStatus } from '../gen/troupe/v1/agent.js';
import type { Instance as InstanceMessage } from '../gen/troupe/v1/instance.js';
import { type DrainResponse, type GetStatusResponse, NodeDefinition, type WatchHealthResponse } from '../gen/troupe/v1/node.js';
import { type GetStatsResponse, RegistryDefinition } from '../gen/troupe/v1/registry.js';
import { connected, isConnected, openChannel } from '../rpc/channels.js';
import { createClient, type TimeoutOption } from '../rpc/client.js';
import { manifestToMessage } from '../rpc/codec/manifest.js';
import { durationFromMs } from '../rpc/codec/time.js';
import { encodeMessage } from '../rpc/encode.js';
import { type RawCallOptions, RawClient } from '../rpc/raw-client.js';
import { RenewedChannel } from '../rpc/renewed-channel.js';
import { readEvent, type TaskEvent, TaskResult } from './result.js';
import { resuming } from './resuming-stream.js';
import { milliseconds, type RunOptions, type RunStreamOptions, routedTask } from './run-options.js';

export const DEFAULT_ADDRESS = '127.0.0.1:8080';
const DEFAULT_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 3_000;
const DEFAULT_RESUME_WINDOW_MS = 30_000;
/** For the answer that a deadline has passed. */
const DEADLINE_GRACE_MS = 500;
const PAGE_SIZE = 1000;

export interface ConnectOptions {
  /** How long control calls (lists, deployments) may take; 30 s when not given. */
  readonly timeoutMs?: number;
}

export interface ListOptions {
  readonly service?: string;
  readonly capabilities?: readonly string[];
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
  /** Of control calls, connected by the first. */
  private readonly channel: Channel;
  private readonly registry: Client<typeof RegistryDefinition, TimeoutOption>;
  private readonly node: Client<typeof NodeDefinition, TimeoutOption>;
  private readonly timeoutMs: number;
  private readonly closing = new AbortController();

  constructor(
    readonly address: string,
    { timeoutMs = DEFAULT_TIMEOUT_MS }: ConnectOptions = {},
  ) {
    // Every stream and control call that is under way listens.
    setMaxListeners(0, this.closing.signal);
    this.channels = new RenewedChannel(() => openChannel(address));
    this.raw = new RawClient(this.channels);
    this.channel = openChannel(address);
    this.registry = createClient(RegistryDefinition, this.channel);
    this.node = createClient(NodeDefinition, this.channel);
    this.timeoutMs = timeoutMs;
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
    const call = this.raw.unary('/troupe.v1.Tasks/Run', request, { ...callOptions(options), graceMs: DEADLINE_GRACE_MS });
    signal?.addEventListener('abort', call.cancel, { once: true });
    try {
      return new TaskResult(RoutedRunResponse.decode(await call.response).result);
    } catch (error) {
      throw signal?.aborted ? abortError(signal) : error;
    } finally {
      signal?.removeEventListener('abort', call.cancel);
    }
  }

  /**
   * Runs a task and gives its events as they come; the last is the result. Leaving the loop cancels the task. Survives a lost connection for
   * `resumeWindowMs`: each event comes once, in order.
   */
  async *runStream(
    capabilities: string | readonly string[],
    input?: PayloadInput,
    options: RunStreamOptions = {},
  ): AsyncGenerator<TaskEvent, void, undefined> {
    const { signal, idempotent = false, resumeWindowMs = DEFAULT_RESUME_WINDOW_MS } = options;
    const id = options.id ?? newId<TaskId>('task', systemRandom);
    const task = routedTask(capabilities, input, { ...options, id });
    const call = { ...callOptions(options), graceMs: DEADLINE_GRACE_MS, signal };
    const resumeWindow = resumeWindowMs === 0 ? undefined : durationFromMs(milliseconds('resumeWindowMs', resumeWindowMs));
    await this.ready();
    yield* resuming({
      open: (from) =>
        this.events(
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
  }

  /** Everything that is registered, by service and id. */
  async instances({ service = '', capabilities = [] }: ListOptions = {}): Promise<InstanceMessage[]> {
    const all: InstanceMessage[] = [];
    let pageToken = '';
    do {
      const page = await this.control((options) =>
        this.registry.listInstances({ service, capabilities: [...capabilities], pageSize: PAGE_SIZE, pageToken }, options),
      );
      all.push(...page.instances);
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

  private async *events(
    request: RoutedRunStreamRequest,
    options: RawCallOptions & { readonly signal?: AbortSignal | undefined },
  ): AsyncGenerator<TaskEvent, void, undefined> {
    const bytes = encodeMessage(RoutedRunStreamRequest, request);
    // A closed client must say that nobody reads any more: a connection that just ends is one that somebody comes back to.
    const signal = options.signal === undefined ? this.closing.signal : AbortSignal.any([options.signal, this.closing.signal]);
    // Told when the call has ended: a loop that is left after it would cancel the call, which costs the connection one of the resets it has.
    let result: TaskEvent | undefined;
    try {
      for await (const response of this.raw.serverStream('/troupe.v1.Tasks/RunStream', bytes, { ...options, signal })) {
        const event = readEvent(RoutedRunStreamResponse.decode(response).event);
        if (event?.kind === 'result') result = event;
        else if (event !== undefined) yield event;
      }
    } catch (error) {
      if (result === undefined) throw error;
    }
    if (result !== undefined) yield result;
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
  if (!/^(\[[0-9A-Fa-f:.]+\]|[^\s:/]+):\d{1,5}$/.test(address))
    throw new TroupeError(
      'INVALID_ARGUMENT',
      'INVALID_FIELD',
      `address: "${address}" is not host:port, such as ${DEFAULT_ADDRESS}`,
    );
  return new TroupeClient(address, options);
}

function callOptions({ timeoutMs = DEFAULT_TIMEOUT_MS, traceparent }: RunOptions) {
  // Who has no time left has none: as a deadline that has passed.
  if (timeoutMs <= 0) throw deadlineExceeded('timeoutMs: must be positive');
  return { deadlineMs: Date.now() + milliseconds('timeoutMs', timeoutMs), traceparent };
}

function grace(graceMs: number | undefined) {
  return graceMs === undefined ? {} : { grace: durationFromMs(graceMs) };
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TroupeError('INTERNAL', 'EMPTY_ANSWER', 'the cluster sent an empty answer');
  return value;
}
