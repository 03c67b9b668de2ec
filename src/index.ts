/** The public SDK of Troupe: every exported name, one by one. */
export type { AgentContext, AgentTask, TaskContext } from './agent/context.js';
export { type AgentDefinition, type AgentOptions, type AnyAgentDefinition, defineAgent } from './agent/define-agent.js';
export type { AgentManifest, ManifestInput } from './agent/manifest.js';
export type { MessageOptions, Reply, RequestOptions, SendOptions } from './agent/messages.js';
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
  SubscribeOptions,
  TopicInterest,
  TopicMessage,
} from './client/messages.js';
export type { TaskEvent, TaskResult } from './client/result.js';
export type { RetryOptions, RunOptions, RunStreamOptions, TaskPriority } from './client/run-options.js';
export { type ErrorCode, type FieldViolation, invalidArgument, isTroupeError, TroupeError } from './core/errors.js';
export type { Json, JsonObject } from './core/json.js';
export { type Payload, type PayloadInput, payload, type TaggedPayload } from './core/payload.js';
export type { Logger } from './telemetry/logger.js';
export type { RateLimitInput, RoutingPolicyInput } from './upstream/routing-policy.js';
