import { isTroupeError, messageOf, TroupeError } from '../core/errors.js';
import { paintFor } from './colours.js';
import { formatMs } from './format-ms.js';
import type { CliIo } from './io.js';
import { jsonLine, printable, printableLines } from './printable.js';

/** The command was used wrongly. */
export class UsageError extends Error {
  override readonly name = 'UsageError';

  constructor(
    message: string,
    readonly hint = 'run `troupe --help`',
  ) {
    super(message);
  }
}

/** Ends the command with this exit code; whatever there was to say has been said. */
export class ExitError extends Error {
  override readonly name = 'ExitError';

  constructor(readonly exitCode: number) {
    super(`exit ${exitCode}`);
  }
}

export const EXIT = { ok: 0, failure: 1, usage: 2, notReachable: 3, refused: 4, interrupted: 130 } as const;

/** The cluster, or its memory, does not answer. */
const NOT_REACHABLE = new Set(['NOT_CONNECTED', 'UNAVAILABLE', 'REGISTRY_UNAVAILABLE', 'STORE_UNAVAILABLE']);
/** This very process could not do what it was started for: no cluster refused anything. */
const OWN = new Set(['PORT_IN_USE', 'CANNOT_LISTEN', 'AGENT_MODULE', 'KIND_TWICE', 'TOO_MANY_KINDS', 'DATA_DIR', 'CANNOT_READ']);

/** 1 other failure, 2 wrong usage, 3 not reachable, 4 refused by the cluster. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof ExitError) return error.exitCode;
  if (error instanceof UsageError || isTroupeError(error, 'USAGE')) return EXIT.usage;
  if (!(error instanceof TroupeError) || OWN.has(error.reason)) return EXIT.failure;
  return error.code === 'UNAVAILABLE' && NOT_REACHABLE.has(error.reason) ? EXIT.notReachable : EXIT.refused;
}

export type ErrorFormat = 'text' | 'json';

/**
 * One line that says what is wrong and, where there is something to do, a second that says what; as JSON one object
 * `{code, reason, message, metadata}`. With TROUPE_DEBUG=1 the stack as well.
 */
export function printError(io: CliIo, error: unknown, format: ErrorFormat = 'text'): void {
  if (error instanceof ExitError) return;
  if (format === 'json') io.stderr(jsonLine(errorObject(error)));
  else {
    const paint = paintFor(io, 'stderr');
    io.stderr(`${paint('red', 'error:')} ${printable(`${messageOf(error)}${statusOf(error)}`)}\n`);
    const hint = hintFor(error);
    if (hint !== undefined) io.stderr(`${paint('dim', hint)}\n`);
  }
  if (io.env.TROUPE_DEBUG === '1' && error instanceof Error) io.stderr(`${printableLines(error.stack ?? '')}\n`);
}

function statusOf(error: unknown): string {
  if (!(error instanceof TroupeError)) return '';
  return error.reason === error.code ? ` (${error.code})` : ` (${error.code} ${error.reason})`;
}

function hintFor(error: unknown): string | undefined {
  if (error instanceof UsageError) return error.hint;
  if (!(error instanceof TroupeError)) return undefined;
  // The cluster answered: it is a node of it that is not reached.
  if (error.reason === 'NOT_CONNECTED' && error.metadata.node_id !== undefined)
    return 'it may have ended a moment ago: see `troupe nodes`, and try again';
  if (error.reason === 'NOT_CONNECTED') return 'is a cluster running? start one with `troupe dev`, or give --address <host:port>';
  if (error.reason === 'OUTCOME_UNKNOWN')
    return 'where doing it twice does no harm, --idempotent (of troupe send: --at-least-once) has it repeated';
  if (error.code === 'UNIMPLEMENTED') return 'the process at this address does not serve that; give --address of a gateway';
  if (error.retryAfterMs !== undefined) return `try again in ${formatMs(error.retryAfterMs)}`;
  return undefined;
}

function errorObject(error: unknown) {
  const message = messageOf(error);
  if (error instanceof TroupeError) return { code: error.code, reason: error.reason, message, metadata: error.metadata };
  if (error instanceof UsageError) return { code: 'INVALID_ARGUMENT', reason: 'USAGE', message, metadata: {} };
  return { code: 'UNKNOWN', reason: 'UNKNOWN', message, metadata: {} };
}
