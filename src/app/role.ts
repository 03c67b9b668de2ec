import { endpointText } from '../core/instance.js';
import type { Runner } from '../core/run-group.js';
import type { Logger } from '../telemetry/logger.js';
import { SHUTDOWN_MS } from './config.js';
import type { Operations } from './operations.js';

/** What a role prints on standard output once it serves. */
export interface ReadyLine {
  readonly event: 'ready';
  readonly role: 'registry' | 'node' | 'gateway';
  readonly id: string;
  readonly pid: number;
  /** Where it serves gRPC, `host:port`. */
  readonly grpc: string;
  /** Where its operations port is, `host:port`; not there where that is off. */
  readonly ops?: string;
}

/** A role under way. */
export interface RunningRole {
  /** Resolves when it is ready for work. Never rejects: a role that cannot become ready yet tries on. */
  readonly ready: Promise<ReadyLine>;
  /** Where it serves gRPC. */
  readonly endpoint: { readonly host: string; readonly port: number };
  /** Resolves when it has ended; rejects with what ended it if that was not `stop`. */
  readonly done: Promise<void>;
  /** How long `stop` may take. */
  readonly stopWithinMs: number;
  readonly logger: Logger;
  /** Drains and ends it. Later calls wait for the first. */
  stop(): Promise<void>;
}

export interface RoleParts {
  readonly role: ReadyLine['role'];
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly operations: Operations;
  /** What goes on in the background until its signal aborts. */
  readonly run: Runner;
  /** Resolves when the role is ready for work. */
  readonly becomesReady: Promise<void>;
  /** Ends what callers see: while this goes on, the background does too. */
  readonly shutdown: () => Promise<void>;
  /** How long it may drain, where that is more than a few seconds. */
  readonly drainMs?: number;
  /** Gives back what is left, when nothing runs any more. */
  readonly close: () => Promise<void> | void;
}

/** What is left to do after a drain. */
const AFTER_DRAIN_MS = 5_000;

/** Runs the parts of a role from here to its `stop`. */
export function serve(parts: RoleParts): RunningRole {
  const { role, id, operations } = parts;
  const { logger, health } = operations;
  const controller = new AbortController();
  const background = parts.run(controller.signal);
  const ready = parts.becomesReady.then((): ReadyLine => {
    if (!controller.signal.aborted) health.set(true);
    const ops = operations.address === undefined ? {} : { ops: operations.address };
    logger.info('ready', { grpc: endpointText(parts), ...ops });
    return { event: 'ready', role, id, pid: process.pid, grpc: endpointText(parts), ...ops };
  });
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    logger.info('stopping');
    health.set(false);
    await parts.shutdown();
    controller.abort();
    await background.catch(() => undefined);
    await parts.close();
    await operations.close();
    logger.info('stopped');
  };
  const stopOnce = () => {
    stopping ??= stop();
    return stopping;
  };
  const done = endOf(background, stopOnce);
  done.catch(() => undefined);
  const stopWithinMs = Math.max(SHUTDOWN_MS, (parts.drainMs ?? 0) + AFTER_DRAIN_MS);
  return { ready, endpoint: { host: parts.host, port: parts.port }, done, stop: stopOnce, stopWithinMs, logger };
}

/** The background's end, with what was left of the role ended after it. */
async function endOf(background: Promise<void>, stop: () => Promise<void>): Promise<void> {
  try {
    await background;
  } finally {
    await stop();
  }
}
