import type { Clock } from '../core/clock.js';

/** What a run of the command has of the world: tests give their own. */
export interface CliIo {
  /** Results. Bytes go out as they are. */
  stdout(content: string | Uint8Array): void;
  /** Errors, hints, and what is said about a result. */
  stderr(text: string): void;
  /** What `-` reads. */
  readonly stdin?: AsyncIterable<string | Uint8Array>;
  /** Whether standard output is a terminal. */
  readonly isTTY: boolean;
  /** Whether standard error is a terminal; as `isTTY` when not given. */
  readonly errorIsTTY?: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts when the process is asked to end: Ctrl-C, SIGTERM. */
  readonly interrupted: AbortSignal;
  /** Aborts then, and when nobody reads the results any more. Where its reason is an ExitError, the command ends with that code, otherwise with 130. */
  readonly signal: AbortSignal;
  /** Of Troupe: what `--version` prints. */
  readonly version: string;
  /** For ages and pauses; the system's when not given. */
  readonly clock?: Clock;
}
