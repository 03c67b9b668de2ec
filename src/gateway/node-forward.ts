import { Metadata } from 'nice-grpc';
import type { Clock } from '../core/clock.js';
import { effectiveDeadline } from '../core/deadline.js';
import { invalidArgument, TroupeError } from '../core/errors.js';
import { AGENT_SERVICE, endpointText, type Instance, NODE_SERVICE } from '../core/instance.js';
import type { Duration } from '../gen/google/protobuf/duration.js';
import { NodeDefinition } from '../gen/troupe/v1/node.js';
import type { Task } from '../gen/troupe/v1/task.js';
import type { Call } from '../rpc/call.js';
import type { ChannelPool } from '../rpc/channels.js';
import { createClient } from '../rpc/client.js';
import { msFromDuration } from '../rpc/codec/time.js';
import type { Handlers } from '../rpc/service.js';
import { traceEntries } from '../telemetry/trace-headers.js';
import { memberStatus, type StatusDeps } from '../upstream/member-status.js';
import { watchHealth } from '../upstream/watch-health.js';
import { leastLoadedNode } from './placement.js';

export interface NodeForwardDeps extends StatusDeps {
  readonly channels: ChannelPool;
}

/** Of a call whose caller gave no deadline, beside the grace that it asks for. */
const DEFAULT_TIMEOUT_MS = 30_000;
/** What nodes grant where a call asks for none. */
const UNDEPLOY_GRACE_MS = 10_000;
const DRAIN_GRACE_MS = 20_000;
/** A change answers when this gateway's view shows it, so that the next call sees it; or after this. */
const OWN_CHANGES_MS = 2_000;

/** The Node service of a gateway: each call goes to the node that it, or its agent, names. */
export function nodeForward(deps: NodeForwardDeps): Handlers<typeof NodeDefinition> {
  const { view, channels } = deps;
  const clientOf = (node: Instance) => createClient(NodeDefinition, channels.get(endpointText(node.endpoint)));
  const nodeById = (id: string): Instance => {
    if (id === '') throw invalidArgument('node_id', 'is required at a gateway; `troupe nodes` lists them');
    const node = view.catalog.get({ service: NODE_SERVICE, id });
    if (node === undefined)
      throw new TroupeError('NOT_FOUND', 'UNKNOWN_NODE', `no node "${id}" in the cluster; \`troupe nodes\` lists them`, {
        metadata: { node_id: id },
      });
    return node.instance;
  };
  const nodeOfAgent = (field: string, agentId: string): Instance => {
    if (agentId === '') throw invalidArgument(field, 'is required');
    const agent = view.catalog.get({ service: AGENT_SERVICE, id: agentId });
    if (agent === undefined)
      throw new TroupeError('NOT_FOUND', 'UNKNOWN_AGENT', `no agent "${agentId}" in the cluster; \`troupe agents\` lists them`, {
        metadata: { agent_id: agentId },
      });
    return nodeById(agent.instance.nodeId);
  };
  const isMine = (nodeId: string) => nodeId === '' || nodeId === deps.membership.self.id;
  const hasAgent = (id: string) => view.catalog.get({ service: AGENT_SERVICE, id }) !== undefined;

  return {
    async deployAgent(request, call) {
      const { manifest, nodeId } = request;
      if (manifest === undefined) throw invalidArgument('manifest', 'is required');
      if (manifest.kind === '') throw invalidArgument('manifest.kind', 'is required: the kind of agent to activate');
      const node = nodeId === '' ? leastLoadedNode(view.catalog, manifest.kind) : nodeById(nodeId);
      const response = await clientOf(node).deployAgent({ ...request, nodeId: node.id }, options(call));
      await view.until(() => hasAgent(manifest.id), OWN_CHANGES_MS);
      return response;
    },
    async undeployAgent(request, call) {
      const { agentId } = request;
      const response = await clientOf(nodeOfAgent('agent_id', agentId)).undeployAgent(
        request,
        options(call, graceOf(request, UNDEPLOY_GRACE_MS)),
      );
      await view.until(() => !hasAgent(agentId), OWN_CHANGES_MS);
      return response;
    },
    listAgents: (request, call) => clientOf(nodeById(request.nodeId)).listAgents(request, options(call)),
    watchHealth: (request, call) =>
      isMine(request.nodeId)
        ? watchHealth(deps.routes, call.signal)
        : clientOf(nodeById(request.nodeId)).watchHealth(request, { signal: call.signal }),
    getStatus: (request, call) =>
      isMine(request.nodeId) ? memberStatus(deps) : clientOf(nodeById(request.nodeId)).getStatus(request, options(call)),
    drain: (request, call) => clientOf(nodeById(request.nodeId)).drain(request, options(call, graceOf(request, DRAIN_GRACE_MS))),
    executeTask: (request, call) => {
      const node = nodeOfAgent('task.agent_id', request.task?.agentId ?? '');
      return clientOf(node).executeTask(...forwarded(request, call, deps.clock));
    },
    streamTask: (request, call) => {
      const node = nodeOfAgent('task.agent_id', request.task?.agentId ?? '');
      return clientOf(node).streamTask(...forwarded(request, call, deps.clock));
    },
  };

  function options(call: Call, graceMs = 0) {
    const given = Number.isFinite(call.deadlineMs);
    return {
      timeoutMs: given ? Math.max(1, call.deadlineMs - deps.clock.now()) : DEFAULT_TIMEOUT_MS + graceMs,
      signal: call.signal,
    };
  }
}

/** A request with the deadline of its call, which does not travel otherwise, and its trace. */
function forwarded<R extends { task: Task | undefined }>(request: R, call: Call, clock: Clock) {
  const deadlineMs = effectiveDeadline(clock.now(), call.deadlineMs, request.task?.deadline?.getTime());
  const task = request.task === undefined ? undefined : { ...request.task, deadline: new Date(deadlineMs) };
  const metadata = Metadata(call.trace === undefined ? {} : traceEntries(call.trace));
  return [
    { ...request, task },
    { timeoutMs: Math.max(1, deadlineMs - clock.now()), signal: call.signal, metadata },
  ] as const;
}

function graceOf({ grace }: { readonly grace?: Duration | undefined }, fallbackMs: number): number {
  return grace === undefined ? fallbackMs : Math.max(0, msFromDuration(grace));
}
