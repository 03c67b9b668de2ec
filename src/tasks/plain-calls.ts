import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { endpointText } from '../core/instance.js';
import {
  RoutedExecuteTaskRequest,
  RoutedExecuteTaskResponse,
  RoutedStreamTaskRequest,
  RoutedStreamTaskResponse,
} from '../gen/troupe/internal/v1/routed.js';
import { type ChannelPool, connected, isConnected, isFailing, notConnected } from '../rpc/channels.js';
import { encodeMessage } from '../rpc/encode.js';
import { type RawCall, RawClient } from '../rpc/raw-client.js';
import { oneChannel } from '../rpc/renewed-channel.js';
import type { ExecuteOptions, Execution, Place } from './executor.js';

const EXECUTE_TASK = '/troupe.v1.Node/ExecuteTask';
const STREAM_TASK = '/troupe.v1.Node/StreamTask';
/** A node that cannot be reached within this is left for another. */
const CONNECT_TIMEOUT_MS = 1_000;

/** Tasks for nodes that serve the public contract alone: a call of gRPC each. */
export class PlainCalls {
  private readonly underWay = new Map<string, Set<(error: TroupeError) => void>>();

  constructor(
    private readonly channels: ChannelPool,
    private readonly clock: Clock,
  ) {}

  execute(place: Place, request: RoutedExecuteTaskRequest, options: ExecuteOptions): Execution {
    let call: RawCall | undefined;
    let isOver = false;
    let end: (error: TroupeError) => void = () => undefined;
    const lost = new Promise<never>((_, reject) => {
      end = (error) => {
        isOver = true;
        reject(error);
        call?.cancel();
      };
    });
    const send = async () => {
      const client = await this.connect(place, options);
      if (isOver) return lost;
      call = client.unary(EXECUTE_TASK, encodeMessage(RoutedExecuteTaskRequest, request), options);
      return RoutedExecuteTaskResponse.decode(await call.response);
    };
    const forget = this.watch(place.nodeId, end);
    const response = Promise.race([send(), lost]).finally(forget);
    return { response, cancel: () => end(new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled')) };
  }

  async *stream(
    place: Place,
    request: RoutedStreamTaskRequest,
    options: ExecuteOptions & { readonly signal: AbortSignal },
  ): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    const client = await this.connect(place, options);
    const lost = new AbortController();
    const forget = this.watch(place.nodeId, (error) => lost.abort(error));
    const signal = AbortSignal.any([options.signal, lost.signal]);
    try {
      const bytes = encodeMessage(RoutedStreamTaskRequest, request);
      for await (const response of client.serverStream(STREAM_TASK, bytes, { ...options, signal }))
        yield RoutedStreamTaskResponse.decode(response);
    } finally {
      forget();
    }
  }

  /** A node has left the cluster: what is under way there ends. */
  lost(nodeId: string, error: TroupeError): void {
    const calls = this.underWay.get(nodeId) ?? [];
    this.underWay.delete(nodeId);
    for (const end of calls) end(error);
  }

  /** A node that could not be reached a moment ago is left for another at once. */
  private async connect({ endpoint }: Place, { deadlineMs }: ExecuteOptions): Promise<RawClient> {
    const address = endpointText(endpoint);
    const channel = this.channels.get(address);
    if (!isConnected(channel)) {
      if (isFailing(channel)) throw notConnected(address);
      await connected(channel, address, Math.min(CONNECT_TIMEOUT_MS, deadlineMs - this.clock.now()));
    }
    return new RawClient(oneChannel(channel));
  }

  /** Calls back if the node is lost. Returns how to call that off. */
  private watch(nodeId: string, onLost: (error: TroupeError) => void): () => void {
    const calls = this.underWay.get(nodeId) ?? new Set();
    this.underWay.set(nodeId, calls);
    calls.add(onLost);
    return () => {
      calls.delete(onLost);
      if (calls.size === 0 && this.underWay.get(nodeId) === calls) this.underWay.delete(nodeId);
    };
  }
}
