import { styleText } from 'node:util';
import yoctoSpinner, { type Spinner } from 'yocto-spinner';
import { messageOf } from '../../core/errors.js';

export interface StoryOutput {
  readonly stream: NodeJS.WriteStream;
  /** A live line while a step goes on, and colours: only for people at a terminal. */
  readonly live: boolean;
}

interface Told {
  readonly title: string;
  readonly ms: number;
}

/** Tells a run step by step: a live line on a terminal, plain lines elsewhere, how long each took. */
export class Story {
  private readonly told: Told[] = [];
  private readonly startedAt = performance.now();
  private spinner: Spinner | undefined;

  constructor(private readonly output: StoryOutput) {}

  /** A step: `work` says what happens by `say`, and what is going on by `progress`. What it throws ends the story. */
  async step<T>(title: string, work: (step: Step) => Promise<T>): Promise<T> {
    const number = this.told.length + 1;
    const startedAt = performance.now();
    const lines: string[] = [];
    if (this.output.live) this.spinner = yoctoSpinner({ text: `${number}. ${title}`, stream: this.output.stream }).start();
    const step: Step = {
      say: (line) => lines.push(line),
      progress: (text) => {
        if (this.spinner !== undefined) this.spinner.text = `${number}. ${title}  ${this.paint('dim', text)}`;
      },
    };
    try {
      const result = await work(step);
      const ms = performance.now() - startedAt;
      this.told.push({ title, ms });
      this.heading(this.paint('green', '✔'), `${number}. ${title}`, ms);
      this.lines(lines);
      return result;
    } catch (error) {
      this.heading(this.paint('red', '✖'), `${number}. ${title}`, performance.now() - startedAt);
      this.lines([...lines, this.paint('red', messageOf(error))]);
      throw error;
    }
  }

  /** The closing line. */
  end(facts: readonly string[]): void {
    const seconds = ((performance.now() - this.startedAt) / 1000).toFixed(1);
    this.write(`\n${this.paint('bold', `All ${this.told.length} steps done in ${seconds} s.`)}`);
    this.lines(facts);
  }

  write(line: string): void {
    this.output.stream.write(`${line}\n`);
  }

  private heading(mark: string, title: string, ms: number): void {
    this.spinner?.stop();
    this.spinner = undefined;
    this.write(`${mark} ${this.paint('bold', title)} ${this.paint('dim', `(${formatMs(ms)})`)}`);
  }

  private lines(lines: readonly string[]): void {
    for (const line of lines) this.write(`     ${line}`);
  }

  private paint(style: 'bold' | 'dim' | 'green' | 'red', text: string): string {
    return this.output.live ? styleText(style, text) : text;
  }
}

export interface Step {
  /** A line of what happened, shown with the step. */
  say(line: string): void;
  /** What is going on now: shown only while it is, and only on a terminal. */
  progress(text: string): void;
}

export function formatMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
