/** The public SDK of Troupe: every exported name, one by one. docs/reference/sdk.api.md has their types. */
export type { AgentContext, AgentTask, MessageContext, TaskContext } from './agent/context.js';
export {
  type AgentDefinition,
  type AgentOptions,
  type AnyAgentDefinition,
  type CircuitOptions,
  defineAgent,
} from './agent/define-agent.js';
export type { AgentManifest, ManifestInput } from './agent/manifest.js';
export type {
  AgentMessage,
  MessageOptions,
  Messenger,
  Reply,
  RequestOptions,
  SendOptions,
  Subscription,
} from './agent/messages.js';
export { type StartedNode, type StartNodeOptions, startNode } from './app/start-node.js';
export type { StrategyName } from './balancer/strategies.js';
export type { AttachedContext, AttachedMessenger, AttachedTaskContext, AttachOptions } from './client/attach-options.js';
export type { AttachedAgent } from './client/attached-agent.js';
export { type ConnectOptions, connect, type ListOptions, type TroupeClient } from './client/client.js';
export type {
  BroadcastOptions,
  ClientSendOptions,
  DeadLetter,
  DeadLetterList,
  Receipts,
  Received,
  SubscribeOptions,
  TopicInterest,
  TopicMessage,
} from './client/messages.js';
export type { TaskEvent, TaskResult } from './client/result.js';
export type { RetryOptions, RunOptions, RunStreamOptions, TaskPriority } from './client/run-options.js';
export {
  type ErrorCode,
  type ErrorDetails,
  type FieldViolation,
  invalidArgument,
  isTroupeError,
  TroupeError,
} from './core/errors.js';
export type { Json, JsonObject } from './core/json.js';
export { type Payload, type PayloadInput, payload, type TaggedPayload } from './core/payload.js';
// What the client's control calls answer: messages of the contract troupe.v1, and their enumerations.
export type { Duration } from './gen/google/protobuf/duration.js';
export {
  type AgentKind,
  type AgentManifest as AgentManifestMessage,
  AgentState,
  type AgentStatus,
} from './gen/troupe/v1/agent.js';
export {
  CircuitState,
  type CircuitStatus,
  HealthState,
  type HealthTransition,
  type InstanceHealth,
} from './gen/troupe/v1/health.js';
export { type Endpoint, type Instance, InstanceStatus, type ProbeVerdict } from './gen/troupe/v1/instance.js';
export {
  type DrainResponse,
  type GetStatusResponse,
  LeaseState,
  type LeaseStatus,
  type LoadReport,
  type ViewStatus,
  type WatchHealthResponse,
} from './gen/troupe/v1/node.js';
export type { CapabilityStats, GetStatsResponse, ReportedCircuit, ServiceStats, StatusCount } from './gen/troupe/v1/registry.js';
export { TaskState } from './gen/troupe/v1/task.js';
export type { LogFields, Logger, LogLevel } from './telemetry/logger.js';
export type { TraceOptions } from './telemetry/trace-headers.js';
export type { RateLimitInput, RoutingPolicyInput } from './upstream/routing-policy.js';
