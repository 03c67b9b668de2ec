import type { CallOptions } from 'nice-grpc';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { listInstances } from '../discovery/instance-list.js';
import type { RegistryClient, RegistrySession } from '../discovery/registry-session.js';
import type { ClusterView } from '../discovery/view.js';
import type {
  GetStatsRequest,
  GetStatsResponse,
  ListInstancesRequest,
  ListInstancesResponse,
  RegistryDefinition,
} from '../gen/troupe/v1/registry.js';
import type { Call } from '../rpc/call.js';
import type { TimeoutOption } from '../rpc/client.js';
import { instanceToMessage } from '../rpc/codec/instance.js';
import { durationFromMs } from '../rpc/codec/time.js';
import type { Handlers } from '../rpc/service.js';
import { outcomeOf } from '../upstream/outcome.js';
import { mergeStats } from './merge-stats.js';
import { traceMetadata } from './trace-metadata.js';

const DEFAULT_TIMEOUT_MS = 30_000;
const STATS_PATIENCE_MS = 1_000;
/** How long a replica may take to list before another one is asked, and then the gateway tells what it knows itself. */
const LIST_PATIENCE_MS = 2_000;
/** Replicas that are tried with a call that only reads, or was certainly not sent. */
const MAX_TRIES = 3;
/** Where a replica does not answer at all: the caller waits meanwhile. */
const MAX_SILENT_TRIES = 2;

/**
 * The Registry service of a gateway: every call goes to a registry replica that answers. Where none does, the gateway lists instances as it
 * knows them.
 */
export function registryForward(session: RegistrySession, view: ClusterView, clock: Clock): Handlers<typeof RegistryDefinition> {
  const forward = <Request, Response>(
    isRead: boolean,
    pick: (client: RegistryClient) => (request: Request, options: CallOptions & TimeoutOption) => Promise<Response>,
    patienceMs = Number.POSITIVE_INFINITY,
  ) => {
    return async (request: Request, call: Call): Promise<Response> => {
      const options = { signal: call.signal, metadata: traceMetadata(call) };
      for (let tries = 1; ; tries++) {
        const { client } = session;
        const leftMs = timeoutOf(call, clock);
        try {
          return await pick(client)(request, { ...options, timeoutMs: Math.min(patienceMs, leftMs) });
        } catch (error) {
          if (!(error instanceof TroupeError)) throw error;
          if (error.code === 'DEADLINE_EXCEEDED' && leftMs > patienceMs) {
            // Frozen, perhaps: the next one may answer, now where the caller has as much time again.
            session.turnFrom(client);
            const mayTry = session.client !== client && timeoutOf(call, clock) > patienceMs;
            if (!mayTry || tries >= MAX_SILENT_TRIES) throw error;
            continue;
          }
          if (error.code !== 'UNAVAILABLE' || error.reason !== 'UNAVAILABLE') throw error;
          session.turnFrom(client);
          if ((!isRead && outcomeOf(error) !== 'not_started') || tries >= MAX_TRIES) throw registryUnavailable(error);
        }
      }
    };
  };
  const one = forward(true, (client: RegistryClient) => client.getStats);
  /** Of all replicas: each knows only of the members that renew through it. One that does not answer soon is left out. */
  const getStats = async (request: GetStatsRequest, call: Call): Promise<GetStatsResponse> => {
    const timeoutMs = Math.min(STATS_PATIENCE_MS, timeoutOf(call, clock));
    const options = { timeoutMs, signal: call.signal, metadata: traceMetadata(call) };
    const settled = await Promise.allSettled(session.clients.map((client) => client.getStats(request, options)));
    const [first, ...others] = settled.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    return first === undefined ? one(request, call) : mergeStats([first, ...others]);
  };
  const listed = forward(true, (client: RegistryClient) => client.listInstances, LIST_PATIENCE_MS);
  const list = async (request: ListInstancesRequest, call: Call): Promise<ListInstancesResponse> => {
    try {
      return await listed(request, call);
    } catch (error) {
      if (!view.hasSeenCluster || call.cancelled || !isAway(error)) throw error;
      const { revision, ageMs } = view.status();
      const { items, nextPageToken } = listInstances(view.catalog, request);
      return {
        instances: items.map(({ instance }) => instanceToMessage(instance)),
        nextPageToken,
        revision,
        age: durationFromMs(ageMs),
      };
    }
  };
  const stream = async function* <Response>(
    open: (client: RegistryClient) => AsyncIterable<Response>,
  ): AsyncGenerator<Response, void, undefined> {
    const { client } = session;
    try {
      yield* open(client);
    } catch (error) {
      if (!(error instanceof TroupeError) || error.code !== 'UNAVAILABLE') throw error;
      session.turnFrom(client);
      throw error.reason === 'UNAVAILABLE' ? registryUnavailable(error) : error;
    }
  };
  return {
    register: forward(false, (client) => client.register),
    deregister: forward(false, (client) => client.deregister),
    updateInstance: forward(false, (client) => client.updateInstance),
    getInstance: forward(true, (client) => client.getInstance),
    listInstances: list,
    discover: forward(true, (client) => client.discover),
    getStats,
    keepAlive: (requests, call) => stream((client) => client.keepAlive(requests, { signal: call.signal })),
    watch: (request, call) => stream((client) => client.watch(request, { signal: call.signal })),
  };
}

function timeoutOf(call: Call, clock: Clock): number {
  return Number.isFinite(call.deadlineMs) ? Math.max(1, call.deadlineMs - clock.now()) : DEFAULT_TIMEOUT_MS;
}

/** Whether it says that no registry answers, or that the one which does knows nothing yet. */
function isAway(error: unknown): boolean {
  return error instanceof TroupeError && (error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED');
}

function registryUnavailable(cause: TroupeError): TroupeError {
  return new TroupeError(
    'UNAVAILABLE',
    'REGISTRY_UNAVAILABLE',
    'the registry is not reached now; what is placed goes on working, changes must wait; try again',
    {
      retryAfterMs: 1_000,
      cause,
    },
  );
}
