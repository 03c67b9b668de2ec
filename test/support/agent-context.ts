import type { AgentContext, AgentTask, TaskContext } from '../../src/agent/context.js';
import type { AgentDefinition } from '../../src/agent/define-agent.js';
import type { JsonObject } from '../../src/core/json.js';
import { type Payload, type PayloadInput, payloadJson, payloadText, toPayload } from '../../src/core/payload.js';
import { silentLogger } from '../../src/telemetry/logger.js';
import { silentSpan } from '../../src/telemetry/tracing.js';
import { silentContext } from './silent-post.js';

export interface Given {
  readonly capabilities?: readonly string[];
  readonly config?: JsonObject;
  readonly signal?: AbortSignal;
}

export interface Asked {
  readonly payload?: PayloadInput;
  readonly require?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onEmit?: (chunk: Payload) => void | Promise<void>;
}

/** What a task gave: its result, and what it streamed before. */
export interface Ran {
  readonly result: Payload;
  readonly emitted: readonly Payload[];
  readonly progress: readonly { readonly fraction: number; readonly note: string | undefined }[];
}

/** One live agent, without a runtime around it: started as a node would, then given task after task. */
export async function activate<Config, State>(definition: AgentDefinition<Config, State>, given: Given = {}) {
  const config = (definition.config?.parse(given.config ?? {}) ?? {}) as Config;
  const capabilities = given.capabilities ?? definition.capabilities;
  const context: AgentContext<Config> = {
    agentId: `${definition.kind}-1`,
    nodeId: 'node-1',
    manifest: {
      id: `${definition.kind}-1`,
      kind: definition.kind,
      capabilities,
      config: given.config ?? {},
      concurrency: definition.concurrency,
      mailboxCapacity: definition.mailboxCapacity,
      weight: 1,
      adaptiveConcurrency: definition.adaptiveConcurrency,
      metadata: {},
    },
    capabilities,
    config,
    logger: silentLogger,
    ...silentContext,
    signal: given.signal ?? new AbortController().signal,
  };
  const state = (await definition.start?.(context)) as State;
  let tasks = 0;
  return async (asked: Asked = {}): Promise<Ran> => {
    tasks += 1;
    const content = toPayload(asked.payload);
    const emitted: Payload[] = [];
    const progress: { fraction: number; note: string | undefined }[] = [];
    const task: AgentTask = {
      id: `task-${tasks}`,
      attempt: 1,
      requiredCapabilities: asked.require ?? [],
      labels: new Map(),
      payload: content,
      json: <T>() => payloadJson(content) as T,
      text: () => payloadText(content),
    };
    const taskContext: TaskContext<Config, State> = {
      ...context,
      state,
      signal: asked.signal ?? context.signal,
      remainingMs: () => 60_000,
      traceparent: undefined,
      traceHeaders: {},
      span: silentSpan(undefined),
      emit: async (chunk) => {
        const seen = toPayload(chunk);
        emitted.push(seen);
        await asked.onEmit?.(seen);
      },
      progress: async (fraction, note) => {
        progress.push({ fraction, note });
      },
    };
    return { result: toPayload(await definition.run(task, taskContext)), emitted, progress };
  };
}

/** The JSON of a payload, as `T`. */
export function jsonOf<T>(content: Payload | undefined): T {
  if (content?.kind !== 'json') throw new Error(`not JSON: ${JSON.stringify(content)}`);
  return content.json as T;
}
