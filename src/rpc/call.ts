import type { Metadata } from '@grpc/grpc-js';
import { deadlineExceeded, TroupeError } from '../core/errors.js';
import { type TraceHeaders, traceHeadersOf } from '../telemetry/trace-headers.js';
import type { Hop } from '../telemetry/tracing.js';

/** What a handler knows of the call that it answers. */
export interface Call {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Address of the caller. */
  readonly peer: string;
  /** Milliseconds since the epoch; Infinity when the caller gave none. */
  readonly deadlineMs: number;
  /**
   * Aborts when the caller cancelled (CANCELLED), its deadline passed (DEADLINE_EXCEEDED), or, of a stream, its connection was lost
   * (CANCELLED / CONNECTION_LOST). Made on first use: a signal per call costs throughput. */
  readonly signal: AbortSignal;
  /** Whether the caller has gone. */
  readonly cancelled: boolean;
  /** Calls back once when the caller cancels or its deadline passes: what `signal` does, cheaper. */
  onCancel(callback: (error: TroupeError) => void): void;
  /** The first value of a request header; undefined when it was not sent. */
  header(name: string): string | undefined;
  /** What goes with all that the call leads to: of this hop's span, or as the caller sent it; undefined where there is none. */
  readonly trace: TraceHeaders | undefined;
}

/** The part of grpc-js's server calls that is used here. */
export interface ServerCall {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getPath(): string;
  getPeer(): string;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

export class GrpcCall implements Call {
  /** The part of the trace that the call is here. */
  hop: Hop | undefined;
  private controller: AbortController | undefined;
  private answered = false;
  /** Null: the caller sent nothing of it. */
  private sent: TraceHeaders | null | undefined;

  /** `isConnected` tells, when the call ends early, whether its connection is still there. */
  constructor(
    private readonly call: ServerCall,
    private readonly isConnected: () => boolean = () => true,
  ) {}

  get path(): string {
    return this.call.getPath();
  }

  get peer(): string {
    return this.call.getPeer();
  }

  get deadlineMs(): number {
    const deadline = this.call.getDeadline();
    return typeof deadline === 'number' ? deadline : deadline.getTime();
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      const controller = new AbortController();
      this.controller = controller;
      this.onCancel((error) => controller.abort(error));
    }
    return this.controller.signal;
  }

  get cancelled(): boolean {
    return this.call.cancelled;
  }

  onCancel(callback: (error: TroupeError) => void): void {
    if (this.call.cancelled) callback(this.cancelError());
    else {
      this.call.on('cancelled', () => {
        if (!this.answered) callback(this.cancelError());
      });
    }
  }

  /** The answer is there: from now on nothing cancels the call. grpc-js tells the end of every call as a cancellation. */
  end(): void {
    this.answered = true;
  }

  header(name: string): string | undefined {
    const value = this.call.metadata.get(name)[0];
    return value === undefined ? undefined : value.toString();
  }

  get trace(): TraceHeaders | undefined {
    return this.hop ?? this.sentTrace;
  }

  /** As the caller sent it. */
  get sentTrace(): TraceHeaders | undefined {
    if (this.sent === undefined) this.sent = traceHeadersOf((name) => this.header(name)) ?? null;
    return this.sent ?? undefined;
  }

  private cancelError(): TroupeError {
    if (Date.now() >= this.deadlineMs) return deadlineExceeded();
    if (this.isConnected()) return new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled');
    return new TroupeError('CANCELLED', 'CONNECTION_LOST', 'the connection of the caller was lost');
  }
}
