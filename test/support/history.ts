import { readFile } from 'node:fs/promises';
import type { TaskResult } from '../../src/client/result.js';
import { isTroupeError } from '../../src/core/errors.js';

/** Milliseconds since the epoch, monotonic: what processes of one machine tell each other. */
export const nowMs = (): number => performance.timeOrigin + performance.now();

/** What became of an operation as its caller knows it. Of one that timed out nothing is known: it stays open. */
export type OperationEnd =
  | { readonly kind: 'done'; readonly agentId: string; readonly nodeId: string; readonly attempt: number }
  | { readonly kind: 'failed'; readonly code: string; readonly reason: string; readonly retryAfterMs: number | undefined }
  | { readonly kind: 'open' };

export interface Operation {
  readonly id: string;
  /** What the test says of it, such as its priority. */
  readonly label: string;
  readonly idempotent: boolean;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly end: OperationEnd;
}

export interface OperationOptions {
  readonly label?: string;
  readonly idempotent?: boolean;
}

/** What callers did and what they got. Ids of tasks follow from the seed and their order. */
export class History {
  readonly operations: Operation[] = [];
  private begun = 0;

  constructor(private readonly seed: number) {}

  /** Calls with the id of a new task, and keeps how that ended. Never throws. */
  async record(
    call: (id: string) => Promise<TaskResult>,
    { label = '', idempotent = false }: OperationOptions = {},
  ): Promise<void> {
    this.begun += 1;
    const id = `t-${this.seed.toString(36)}-${this.begun}`;
    const startedAtMs = nowMs();
    const end = await call(id).then(doneOf, failedOf);
    this.operations.push({ id, label, idempotent, startedAtMs, endedAtMs: nowMs(), end });
  }

  /** Those that were begun from `fromMs` on and before `toMs`. */
  between(fromMs: number, toMs: number): Operation[] {
    return this.operations.filter(({ startedAtMs }) => startedAtMs >= fromMs && startedAtMs < toMs);
  }

  /** Those that were under way at a moment. */
  underWayAt(atMs: number): Operation[] {
    return this.operations.filter(({ startedAtMs, endedAtMs }) => startedAtMs <= atMs && endedAtMs > atMs);
  }
}

function doneOf({ agentId, nodeId, attempt }: TaskResult): OperationEnd {
  return { kind: 'done', agentId, nodeId, attempt };
}

function failedOf(error: unknown): OperationEnd {
  if (!isTroupeError(error)) return { kind: 'failed', code: 'not one of ours', reason: String(error), retryAfterMs: undefined };
  const { code, reason, retryAfterMs } = error;
  return code === 'DEADLINE_EXCEEDED' ? { kind: 'open' } : { kind: 'failed', code, reason, retryAfterMs };
}

export const isDone = (operation: Operation): operation is Operation & { readonly end: { readonly kind: 'done' } } =>
  operation.end.kind === 'done';

export const isFailed = (operation: Operation): operation is Operation & { readonly end: { readonly kind: 'failed' } } =>
  operation.end.kind === 'failed';

export const isOpen = ({ end }: Operation): boolean => end.kind === 'open';

export const latencyMs = ({ startedAtMs, endedAtMs }: Operation): number => endedAtMs - startedAtMs;

/** How often each failure was met, by code and reason. */
export function failuresOf(operations: readonly Operation[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { end } of operations.filter(isFailed)) {
    const name = `${end.code}/${end.reason}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** A line that an agent wrote. */
export interface Execution {
  readonly what: string;
  readonly taskId: string;
  readonly attempt: number;
  readonly agentId: string;
  readonly atMs: number;
}

/** What the agents wrote; nothing where none has written yet. */
export async function readExecutions(path: string): Promise<Execution[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => {
    const [what = '', taskId = '', attempt, agentId = '', atMs] = line.split(' ');
    return { what, taskId, attempt: Number(attempt), agentId, atMs: Number(atMs) };
  });
}

/** What a history breaks of what a runtime promises, held against what the agents did. */
export interface Findings {
  /** Idempotent tasks that failed: they can always be done elsewhere. */
  readonly lost: readonly Operation[];
  /** Tasks with an answer that no agent has done. */
  readonly invented: readonly string[];
  /** Tasks that were done more than once. */
  readonly duplicates: readonly string[];
  /** Tasks that were begun more than once although they are not idempotent. */
  readonly repeated: readonly string[];
  /** Begun again without being told so: every try after the first has an attempt above 1. */
  readonly unflagged: readonly string[];
}

export function check({ operations }: History, executions: readonly Execution[]): Findings {
  const begun = byTask(executions, 'begun');
  const done = byTask(executions, 'done');
  const idempotent = new Set(operations.filter((each) => each.idempotent).map(({ id }) => id));
  const again = [...begun].filter(([, tries]) => tries.length > 1);
  return {
    lost: operations.filter((each) => each.idempotent && isFailed(each)),
    invented: operations.filter((each) => isDone(each) && !done.has(each.id)).map(({ id }) => id),
    duplicates: [...done].filter(([, tries]) => tries.length > 1).map(([id]) => id),
    repeated: again.filter(([id]) => !idempotent.has(id)).map(([id]) => id),
    unflagged: again.filter(([, tries]) => new Set(tries.map(({ attempt }) => attempt)).size < tries.length).map(([id]) => id),
  };
}

function byTask(executions: readonly Execution[], what: string): Map<string, Execution[]> {
  const tasks = new Map<string, Execution[]>();
  for (const execution of executions) {
    if (execution.what !== what) continue;
    const known = tasks.get(execution.taskId);
    if (known === undefined) tasks.set(execution.taskId, [execution]);
    else known.push(execution);
  }
  return tasks;
}
