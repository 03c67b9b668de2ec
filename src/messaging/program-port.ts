import { effectiveDeadline } from '../core/deadline.js';
import { invalidArgument, type TroupeError } from '../core/errors.js';
import type { RoutedTask, RoutedTaskEvent, RoutedTaskResult } from '../gen/troupe/internal/v1/routed.js';
import type { RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import type { Call } from '../rpc/call.js';
import type { Messages } from './messages.js';

/** The program at the other end, as those see it who have something for it. */
export interface ProgramPort {
  /** Its agent id, or the one that it was given as a client. */
  readonly id: string;
  /** Its address. */
  readonly peer: string;
  /** Why nothing new is begun that it would wait for; undefined where it is. */
  readonly refusal: TroupeError | undefined;
  /** What it waits for. A program that does not read loses its session when too much waits for it. */
  send(envelope: Partial<RoutedEnvelope>): void;
  /** Something that it waited for has ended. */
  settled(): void;
}

/** Runs tasks on whichever agents there are: what an attached program's tasks need. */
export interface TaskRunner {
  /** @throws what Tasks.Run throws. */
  run(task: RoutedTask | undefined, call: Call): Promise<RoutedTaskResult | undefined>;
  /** @throws what Tasks.RunStream throws. */
  stream(task: RoutedTask | undefined, call: Call): AsyncIterable<RoutedTaskEvent>;
}

export interface ProgramRequestDeps {
  readonly tasks: TaskRunner;
  readonly messages: Messages;
  readonly now: () => number;
}

/** What a program waits for. */
export interface OpenRequest {
  cancel(error: TroupeError): void;
  demand(parts: number): void;
}

const MAX_DEMAND = 1_000;
export const DEFAULT_DEMAND = 16;

/** @throws INVALID_ARGUMENT. */
export function demandOf({ demand }: RoutedEnvelope, fallback: number): number {
  if (demand <= MAX_DEMAND) return demand || fallback;
  throw invalidArgument('demand', `must be 1 to ${MAX_DEMAND}`);
}

/** Milliseconds since the epoch. @throws INVALID_ARGUMENT. */
export function effectiveDeadlineOf({ deadline }: RoutedEnvelope, nowMs: number): number {
  const given = deadline?.getTime();
  if (given !== undefined && Number.isNaN(given)) throw invalidArgument('deadline', 'is not a valid time');
  return effectiveDeadline(nowMs, given);
}
