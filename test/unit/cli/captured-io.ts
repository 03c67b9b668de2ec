import type { CliIo } from '../../../src/cli/io.js';

/** A world that keeps what a command printed. */
export class CapturedIo implements CliIo {
  readonly controller = new AbortController();
  readonly interrupted: AbortSignal = this.controller.signal;
  readonly signal: AbortSignal = this.controller.signal;
  readonly isTTY: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly version = '1.2.3';
  out = '';
  err = '';

  constructor({
    isTTY = false,
    env = {},
    stdin = '',
  }: {
    readonly isTTY?: boolean;
    readonly env?: Readonly<Record<string, string>>;
    readonly stdin?: string | Uint8Array;
  } = {}) {
    this.isTTY = isTTY;
    this.env = env;
    this.stdin = (async function* once() {
      yield Buffer.from(stdin);
    })();
  }

  readonly stdout = (content: string | Uint8Array): void => {
    this.out += typeof content === 'string' ? content : Buffer.from(content).toString('latin1');
  };

  readonly stderr = (text: string): void => {
    this.err += text;
  };

  /** Lines of standard output. */
  get lines(): string[] {
    return this.out.split('\n').slice(0, -1);
  }
}
