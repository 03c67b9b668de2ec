import { delay } from '../../core/abort.js';
import { messageOf } from '../../core/errors.js';
import { systemRandom } from '../../core/random.js';
import { backoffMs } from '../../resilience/backoff.js';
import type { ReadyLine } from '../role.js';
import { Child, type ChildOptions } from './child.js';

/** Restarts of a process that keeps ending. */
const BACKOFF = { initialMs: 500, capMs: 30_000 };
/** Having run for so long, it counts as healthy again. */
const STABLE_MS = 10_000;

export type SupervisorEvent =
  | { readonly kind: 'ended'; readonly name: string; readonly how: string; readonly restartInMs: number }
  | { readonly kind: 'back'; readonly name: string; readonly line: ReadyLine }
  | { readonly kind: 'failed'; readonly name: string; readonly reason: string };

/** Keeps one process alive: what ends without having been told to is started again, on the port that it had. */
export class Supervised {
  private child: Child;
  private port: number | undefined;
  private stopping = false;
  private readonly ending = new AbortController();
  private readonly watching: Promise<void>;

  constructor(
    private readonly options: ChildOptions & { readonly restart: boolean },
    private readonly onEvent: (event: SupervisorEvent) => void = () => undefined,
  ) {
    this.child = this.spawn();
    this.watching = this.watch();
  }

  get name(): string {
    return this.options.name;
  }

  get pid(): number {
    return this.child.pid;
  }

  get isRunning(): boolean {
    return this.child.isRunning;
  }

  /** The line of the process as it runs now. @throws when it ended before it was ready. */
  get ready(): Promise<ReadyLine> {
    return this.child.ready;
  }

  /** Ends the process without a chance to clean up, as a crash does, and resolves when it is gone. */
  async crash(): Promise<void> {
    const { child } = this;
    child.kill('SIGKILL');
    await child.exited;
  }

  /** Starts the process again where `restart` is off. */
  async startAgain(): Promise<ReadyLine> {
    this.child = this.spawn();
    return this.child.ready;
  }

  /** Tells the process to drain and end, and ends it if it does not within `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    this.ending.abort();
    const { child } = this;
    if (child.isRunning) child.kill('SIGTERM');
    const waited = new AbortController();
    const tooLong = delay(graceMs, waited.signal).then(
      () => child.kill('SIGKILL'),
      () => undefined,
    );
    await child.exited;
    waited.abort();
    await tooLong;
    await this.watching;
  }

  private spawn(): Child {
    const args = this.port === undefined ? this.options.args : withPort(this.options.args, this.port);
    const child = new Child({ ...this.options, args });
    child.ready.then(
      ({ grpc }) => {
        this.port = Number(grpc.slice(grpc.lastIndexOf(':') + 1));
      },
      () => undefined,
    );
    return child;
  }

  private async watch(): Promise<void> {
    if (!this.options.restart) return;
    let failures = 0;
    while (!this.stopping) {
      const startedAt = performance.now();
      const wasReady = await this.child.ready.then(
        () => true,
        () => false,
      );
      const { code, signal } = await this.child.exited;
      // What never came up, and was not up before, has a wrong port or a broken module: that does not mend itself.
      if (this.stopping || (!wasReady && failures === 0)) return;
      failures = performance.now() - startedAt > STABLE_MS ? 1 : failures + 1;
      const restartInMs = backoffMs(failures, BACKOFF, systemRandom);
      this.onEvent({ kind: 'ended', name: this.name, how: signal ?? `exit code ${code}`, restartInMs });
      await delay(restartInMs, this.ending.signal).catch(() => undefined);
      if (this.stopping) return;
      this.child = this.spawn();
      this.child.ready.then(
        (line) => this.onEvent({ kind: 'back', name: this.name, line }),
        (error: unknown) => this.onEvent({ kind: 'failed', name: this.name, reason: messageOf(error) }),
      );
    }
  }
}

function withPort(args: readonly string[], port: number): string[] {
  const at = args.indexOf('--port');
  return args.map((arg, index) => (index === at + 1 ? String(port) : arg));
}
