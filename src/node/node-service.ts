import { effectiveDeadline } from '../core/deadline.js';
import { invalidArgument, invalidFields, TroupeError } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import type { Duration } from '../gen/google/protobuf/duration.js';
import {
  RoutedExecuteTaskRequest,
  RoutedExecuteTaskResponse,
  RoutedStreamTaskRequest,
  RoutedStreamTaskResponse,
  type RoutedTask,
} from '../gen/troupe/internal/v1/routed.js';
import { NodeDefinition } from '../gen/troupe/v1/node.js';
import type { Call } from '../rpc/call.js';
import { notableCircuits } from '../rpc/codec/circuit.js';
import { manifestFromMessage } from '../rpc/codec/manifest.js';
import { durationFromMs, msFromDuration } from '../rpc/codec/time.js';
import { readPage } from '../rpc/page.js';
import { type Handlers, withTypes } from '../rpc/service.js';
import type { AgentHost } from '../runtime/host.js';
import type { ProcessLoad } from '../telemetry/process-load.js';
import { memberStatus, type StatusDeps } from '../upstream/member-status.js';
import { watchHealth } from '../upstream/watch-health.js';
import { agentCircuit, agentStatusToMessage, kindToMessage } from './agent-status.js';
import type { LocalNodeTasks, TaskCall } from './local-tasks.js';
import type { AgentNode } from './node.js';

/** Node with tasks as they came: a payload is decoded when the agent asks for it. */
export const RoutedNodeDefinition = withTypes(NodeDefinition, {
  executeTask: { requestType: RoutedExecuteTaskRequest, responseType: RoutedExecuteTaskResponse },
  streamTask: { requestType: RoutedStreamTaskRequest, responseType: RoutedStreamTaskResponse },
});

export interface NodeServiceDeps extends StatusDeps {
  readonly nodeId: string;
  readonly host: AgentHost;
  readonly node: AgentNode;
  readonly tasks: LocalNodeTasks;
  readonly processLoad: { readonly current: ProcessLoad };
}

export const DEFAULT_UNDEPLOY_GRACE_MS = 10_000;
export const DEFAULT_DRAIN_GRACE_MS = 20_000;
const MAX_GRACE_MS = 3_600_000;

/** The Node service of a node. */
export function nodeService(deps: NodeServiceDeps): Handlers<typeof RoutedNodeDefinition> {
  const { nodeId, host, node, tasks } = deps;
  const mine = (asked: string) => {
    if (asked === '' || asked === nodeId) return;
    throw new TroupeError(
      'NOT_FOUND',
      'UNKNOWN_NODE',
      `this is node "${nodeId}", not "${asked}"; ask a gateway, which forwards`,
      { metadata: { node_id: asked } },
    );
  };
  return {
    async deployAgent({ manifest, nodeId: asked }) {
      mine(asked);
      return { agent: agentStatusToMessage(await node.deploy(manifestFromMessage(manifest)), nodeId) };
    },
    async undeployAgent({ agentId, grace }) {
      requireId('agent_id', agentId);
      return { agent: agentStatusToMessage(await node.undeploy(agentId, graceMs(grace, DEFAULT_UNDEPLOY_GRACE_MS)), nodeId) };
    },
    listAgents({ nodeId: asked, ...page }) {
      mine(asked);
      const { items, nextPageToken } = readPage(host.list(), page, ({ manifest }) => manifest.id);
      return { agents: items.map((status) => agentStatusToMessage(status, nodeId)), nextPageToken };
    },
    async executeTask(request, call) {
      checkTask(request.task);
      const { response, cancel } = tasks.execute(request, taskCall(call, request.task, deps));
      call.onCancel(cancel);
      return response;
    },
    streamTask(request, call) {
      checkTask(request.task);
      return tasks.stream(request, { ...taskCall(call, request.task, deps), signal: call.signal });
    },
    watchHealth({ nodeId: asked }, call) {
      mine(asked);
      return watchHealth(deps.routes, call.signal);
    },
    getStatus({ nodeId: asked }) {
      mine(asked);
      const { inFlight, queued } = host.totals();
      const { eventLoopDelayMs, cpuCores } = deps.processLoad.current;
      const member = memberStatus(deps);
      return {
        ...member,
        kinds: host.definitions.map(kindToMessage),
        agentCount: host.size,
        inFlight,
        queued,
        draining: host.isDraining,
        unrestoredAgents: new Map(node.unrestored),
        circuits: notableCircuits([...member.circuits, ...host.list().flatMap((status) => agentCircuit(status) ?? [])]),
        eventLoopDelay: durationFromMs(eventLoopDelayMs),
        cpu: cpuCores,
      };
    },
    async drain({ nodeId: asked, grace }) {
      mine(asked);
      return node.drain(graceMs(grace, DEFAULT_DRAIN_GRACE_MS));
    },
  };
}

function taskCall(call: Call, task: RoutedTask | undefined, { clock }: NodeServiceDeps): TaskCall {
  const deadlineMs = effectiveDeadline(clock.now(), call.deadlineMs, task?.deadline?.getTime());
  return { deadlineMs, trace: call.trace };
}

/** Routers check the rest; this is what a node relies on. */
function checkTask(task: RoutedTask | undefined): void {
  if (task === undefined) throw invalidArgument('task', 'is required');
  const wrong = [
    task.id === '' ? undefined : idViolation('task.id', task.id),
    task.agentId === '' ? undefined : idViolation('task.agent_id', task.agentId),
  ].filter((violation) => violation !== undefined);
  if (wrong.length > 0) throw invalidFields(wrong);
}

export function requireId(field: string, id: string): void {
  const violation = idViolation(field, id);
  if (violation !== undefined) throw invalidArgument(field, violation.description);
}

/** @throws INVALID_ARGUMENT. */
function graceMs(grace: Duration | undefined, fallbackMs: number): number {
  if (grace === undefined) return fallbackMs;
  const ms = msFromDuration(grace);
  if (ms < 0 || ms > MAX_GRACE_MS) throw invalidArgument('grace', 'must be 0 to 1 h');
  return ms;
}
