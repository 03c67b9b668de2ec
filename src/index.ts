/** The public SDK of Troupe: every exported name, one by one. */
export type { AgentContext, AgentTask, TaskContext } from './agent/context.js';
export { type AgentDefinition, type AgentOptions, defineAgent } from './agent/define-agent.js';
export { type ErrorCode, type FieldViolation, TroupeError } from './core/errors.js';
export type { Json, JsonObject } from './core/json.js';
export { type Payload, type PayloadInput, payload, type TaggedPayload } from './core/payload.js';
export type { Logger } from './telemetry/logger.js';
