import type { Channel } from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { endpointText, type Instance, NODE_SERVICE } from '../core/instance.js';
import type { ClusterView, Target } from '../discovery/view.js';
import {
  RoutedExecuteTaskRequest,
  RoutedExecuteTaskResponse,
  RoutedStreamTaskRequest,
  RoutedStreamTaskResponse,
} from '../gen/troupe/internal/v1/routed.js';
import { type ChannelPool, connected, isConnected, isFailing, notConnected, openChannel } from '../rpc/channels.js';
import { encodeMessage } from '../rpc/encode.js';
import { RawClient } from '../rpc/raw-client.js';
import { RenewedChannel } from '../rpc/renewed-channel.js';
import type { ExecuteOptions, Execution, LocalTasks, Place, TaskExecutor } from './executor.js';
import { TaskLink } from './task-link.js';

const EXECUTE_TASK = '/troupe.v1.Node/ExecuteTask';
const STREAM_TASK = '/troupe.v1.Node/StreamTask';
/** A node that cannot be reached within this is left for another. */
const CONNECT_TIMEOUT_MS = 1_000;
/** A node that has drained leaves when its work is done: what it has to say about that may come after the news that it left. */
const LAST_WORDS_MS = 1_000;
const NO_CALLS: ReadonlySet<(error: TroupeError) => void> = new Set();

/** Larger tasks go by a call of their own, so that small ones need not wait behind them. */
const MAX_LINKED_BYTES = 64 * 1024;

interface Link {
  readonly address: string;
  readonly tasks: TaskLink;
  /** Of calls of their own, which are cancelled by RST_STREAM: not on the connection of the link. */
  readonly calls: RenewedChannel;
  readonly client: RawClient;
}

/**
 * Does tasks on other nodes over one link to each (streamed and large ones by calls of their own), and on this one directly. When the view loses a node (its lease
 * expired), calls under way there end at once: a frozen node answers nobody.
 */
export class NodeTaskExecutor implements TaskExecutor {
  private readonly links = new Map<string, Link>();
  private readonly underWay = new Map<string, Set<(error: TroupeError) => void>>();
  /** How to call off what shall happen about nodes that have left in order. */
  private readonly leaving = new Set<() => void>();
  private readonly stopListening: () => void;

  constructor(
    private readonly channels: ChannelPool,
    private readonly view: ClusterView,
    private readonly clock: Clock,
    private readonly local?: LocalTasks,
  ) {
    this.stopListening = view.onChange(({ removed }) => {
      for (const instance of removed) if (instance.service === NODE_SERVICE) this.left(instance);
    });
  }

  close(): void {
    this.stopListening();
    for (const cancel of this.leaving) cancel();
    for (const { tasks, calls } of this.links.values()) {
      tasks.close(new TroupeError('CANCELLED', 'CANCELLED', 'this process ends'));
      calls.close();
    }
    this.links.clear();
  }

  execute(target: Target, request: RoutedExecuteTaskRequest, options: ExecuteOptions): Execution {
    const { nodeId } = target.instance;
    if (this.local?.nodeId === nodeId) return this.local.execute(request, options);
    const link = this.link(target.instance);
    const viaLink = (request.task?.payload.length ?? 0) <= MAX_LINKED_BYTES && !link.tasks.isUnsupported;
    const send = () => (viaLink ? link.tasks.execute(request, options) : unary(link.client, request, options));
    let execution: Execution | undefined;
    let cancelled = false;
    const response = new Promise<RoutedExecuteTaskResponse>((resolve, reject) => {
      const begin = () => {
        execution = send();
        const forget = this.watchNode(nodeId, (error) => {
          reject(error);
          execution?.cancel();
        });
        execution.response.then(resolve, reject).finally(forget);
      };
      const channel = viaLink ? this.channels.get(link.address) : link.calls.channel;
      if (isConnected(channel)) begin();
      else
        this.connect(link, channel, options)
          .then(() => (cancelled ? reject(cancelledBefore()) : begin()))
          .catch(reject);
    });
    return {
      response,
      cancel: () => {
        cancelled = true;
        execution?.cancel();
      },
    };
  }

  async *stream(
    place: Place,
    request: RoutedStreamTaskRequest,
    options: ExecuteOptions & { readonly signal: AbortSignal },
  ): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    const { nodeId } = place;
    if (this.local?.nodeId === nodeId) {
      yield* this.local.stream(request, options);
      return;
    }
    const link = this.link(place);
    const { channel } = link.calls;
    if (!isConnected(channel)) await this.connect(link, channel, options);
    const lost = new AbortController();
    const forget = this.watchNode(nodeId, (error) => lost.abort(error));
    const signal = AbortSignal.any([options.signal, lost.signal]);
    try {
      const bytes = encodeMessage(RoutedStreamTaskRequest, request);
      for await (const response of link.client.serverStream(STREAM_TASK, bytes, { ...options, signal }))
        yield RoutedStreamTaskResponse.decode(response);
    } finally {
      forget();
    }
  }

  private link({ endpoint }: Place): Link {
    const address = endpointText(endpoint);
    let link = this.links.get(address);
    if (link === undefined) {
      const channel = this.channels.get(address);
      const calls = new RenewedChannel(() => openChannel(address));
      link = { address, tasks: new TaskLink(channel, this.clock), calls, client: new RawClient(calls) };
      this.links.set(address, link);
    }
    return link;
  }

  /** A node that could not be reached a moment ago is left for another at once. */
  private async connect({ address }: Link, channel: Channel, { deadlineMs }: ExecuteOptions): Promise<void> {
    if (isFailing(channel)) throw notConnected(address);
    await connected(channel, address, Math.min(CONNECT_TIMEOUT_MS, deadlineMs - this.clock.now()));
  }

  /** Calls back if the node is lost. Returns how to call that off. */
  private watchNode(nodeId: string, onLost: (error: TroupeError) => void): () => void {
    let watching = this.underWay.get(nodeId);
    if (watching === undefined) {
      watching = new Set();
      this.underWay.set(nodeId, watching);
    }
    const calls = watching;
    calls.add(onLost);
    return () => {
      calls.delete(onLost);
      if (calls.size === 0 && this.underWay.get(nodeId) === calls) this.underWay.delete(nodeId);
    };
  }

  private left({ id, endpoint, status }: Instance): void {
    const calls = this.underWay.get(id) ?? NO_CALLS;
    this.underWay.delete(id);
    const lose = () => this.lose(id, endpointText(endpoint), calls);
    if (status !== 'stopping') {
      lose();
      return;
    }
    const cancel = this.clock.after(LAST_WORDS_MS, () => {
      this.leaving.delete(cancel);
      lose();
    });
    this.leaving.add(cancel);
  }

  private lose(nodeId: string, address: string, calls: ReadonlySet<(error: TroupeError) => void>): void {
    const error = new TroupeError('UNAVAILABLE', 'NODE_LOST', `node "${nodeId}" left the cluster while it had the task`, {
      metadata: { node_id: nodeId },
    });
    // The link first: it knows what it has not sent.
    const isInUse = this.isInUse(address);
    if (!isInUse) this.links.get(address)?.tasks.close(error);
    for (const onLost of calls) onLost(error);
    if (isInUse) return;
    this.links.get(address)?.calls.close();
    this.links.delete(address);
    this.channels.drop(address);
  }

  /** Whether another node is there by now: one that was restarted under another name, before the lease of the old one ended. */
  private isInUse(address: string): boolean {
    for (const { instance } of this.view.catalog.ofService(NODE_SERVICE))
      if (endpointText(instance.endpoint) === address) return true;
    return false;
  }
}

function unary(client: RawClient, request: RoutedExecuteTaskRequest, options: ExecuteOptions): Execution {
  const { response, cancel } = client.unary(EXECUTE_TASK, encodeMessage(RoutedExecuteTaskRequest, request), options);
  return { response: response.then((bytes) => RoutedExecuteTaskResponse.decode(bytes)), cancel };
}

function cancelledBefore(): TroupeError {
  return new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled', { metadata: { started: 'false' } });
}
