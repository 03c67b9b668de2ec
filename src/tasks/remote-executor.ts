import { asBuffer } from '../core/bytes.js';
import { TroupeError } from '../core/errors.js';
import { endpointText, NODE_SERVICE } from '../core/instance.js';
import type { ClusterView, Target } from '../discovery/view.js';
import {
  RoutedExecuteTaskRequest,
  RoutedExecuteTaskResponse,
  RoutedStreamTaskRequest,
  RoutedStreamTaskResponse,
} from '../gen/troupe/internal/v1/routed.js';
import { type ChannelPool, connected, isConnected } from '../rpc/channels.js';
import { RawClient } from '../rpc/raw-client.js';
import type { ExecuteOptions, Execution, LocalTasks, TaskExecutor } from './executor.js';

const EXECUTE_TASK = '/troupe.v1.Node/ExecuteTask';
const STREAM_TASK = '/troupe.v1.Node/StreamTask';
/** A node that cannot be reached within this is left for another. */
const CONNECT_TIMEOUT_MS = 1_000;

interface Link {
  readonly address: string;
  readonly client: RawClient;
}

/**
 * Does tasks on other nodes by unary and streaming calls, and on this one directly. When the view loses a node (its lease
 * expired), calls under way there end at once: a frozen node answers nobody.
 */
export class NodeTaskExecutor implements TaskExecutor {
  private readonly links = new Map<string, Link>();
  private readonly underWay = new Map<string, Set<(error: TroupeError) => void>>();
  private readonly stopListening: () => void;

  constructor(
    private readonly channels: ChannelPool,
    view: ClusterView,
    private readonly local?: LocalTasks,
  ) {
    this.stopListening = view.onChange((removed) => {
      for (const { service, id, endpoint } of removed) if (service === NODE_SERVICE) this.lose(id, endpointText(endpoint));
    });
  }

  close(): void {
    this.stopListening();
    this.links.clear();
  }

  execute(target: Target, request: RoutedExecuteTaskRequest, options: ExecuteOptions): Execution {
    const { nodeId } = target.instance;
    if (this.local?.nodeId === nodeId) return this.local.execute(request, options);
    let cancelled = false;
    let cancel = () => {
      cancelled = true;
    };
    const send = (link: Link) =>
      new Promise<RoutedExecuteTaskResponse>((resolve, reject) => {
        const bytes = asBuffer(RoutedExecuteTaskRequest.encode(request).finish());
        const call = link.client.unary(EXECUTE_TASK, bytes, options);
        cancel = call.cancel;
        const forget = this.watchNode(nodeId, (error) => {
          reject(error);
          call.cancel();
        });
        call.response.then((response) => resolve(RoutedExecuteTaskResponse.decode(response)), reject).finally(forget);
      });
    const link = this.link(target);
    const response = this.isReady(link)
      ? send(link)
      : this.connect(link, options).then(() => {
          if (cancelled)
            throw new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled', { metadata: { started: 'false' } });
          return send(link);
        });
    return { response, cancel: () => cancel() };
  }

  async *stream(
    target: Target,
    request: RoutedStreamTaskRequest,
    options: ExecuteOptions & { readonly signal: AbortSignal },
  ): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    const { nodeId } = target.instance;
    if (this.local?.nodeId === nodeId) {
      yield* this.local.stream(request, options);
      return;
    }
    const link = this.link(target);
    if (!this.isReady(link)) await this.connect(link, options);
    const lost = new AbortController();
    const forget = this.watchNode(nodeId, (error) => lost.abort(error));
    const signal = AbortSignal.any([options.signal, lost.signal]);
    try {
      const bytes = asBuffer(RoutedStreamTaskRequest.encode(request).finish());
      for await (const response of link.client.serverStream(STREAM_TASK, bytes, { ...options, signal }))
        yield RoutedStreamTaskResponse.decode(response);
    } finally {
      forget();
    }
  }

  private link({ instance }: Target): Link {
    const address = endpointText(instance.endpoint);
    let link = this.links.get(address);
    if (link === undefined) {
      link = { address, client: new RawClient(this.channels.get(address)) };
      this.links.set(address, link);
    }
    return link;
  }

  private isReady({ address }: Link): boolean {
    return isConnected(this.channels.get(address));
  }

  private connect({ address }: Link, { deadlineMs }: ExecuteOptions): Promise<void> {
    return connected(this.channels.get(address), address, Math.min(CONNECT_TIMEOUT_MS, deadlineMs - Date.now()));
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
    return () => calls.delete(onLost);
  }

  private lose(nodeId: string, address: string): void {
    const calls = this.underWay.get(nodeId);
    this.underWay.delete(nodeId);
    this.links.delete(address);
    const error = new TroupeError('UNAVAILABLE', 'NODE_LOST', `node "${nodeId}" left the cluster while it had the task`, {
      metadata: { node_id: nodeId },
    });
    for (const onLost of calls ?? []) onLost(error);
    this.channels.drop(address);
  }
}
