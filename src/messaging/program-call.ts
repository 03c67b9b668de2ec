import { TroupeError } from '../core/errors.js';
import type { Call } from '../rpc/call.js';
import { type TraceHeaders, traceHeadersOf } from '../telemetry/trace-headers.js';

/** A task of an attached program, as the call that it would be if it had come by itself. */
export class ProgramCall implements Call {
  readonly path = '/troupe.v1.Messaging/Connect';
  private error: TroupeError | undefined;
  private callbacks: ((error: TroupeError) => void)[] = [];
  private controller: AbortController | undefined;

  constructor(
    readonly peer: string,
    readonly deadlineMs: number,
    private readonly headers: ReadonlyMap<string, string>,
  ) {}

  get cancelled(): boolean {
    return this.error !== undefined;
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      const controller = new AbortController();
      this.controller = controller;
      this.onCancel((error) => controller.abort(error));
    }
    return this.controller.signal;
  }

  onCancel(callback: (error: TroupeError) => void): void {
    if (this.error === undefined) this.callbacks.push(callback);
    else callback(this.error);
  }

  header(name: string): string | undefined {
    return this.headers.get(name);
  }

  get trace(): TraceHeaders | undefined {
    return traceHeadersOf((name) => this.headers.get(name));
  }

  /** Nobody waits any more. */
  cancel(error: TroupeError): void {
    if (this.error !== undefined) return;
    this.error = error;
    const callbacks = this.callbacks;
    this.callbacks = [];
    for (const callback of callbacks) callback(error);
  }
}

export function cancelledByProgram(): TroupeError {
  return new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled');
}
