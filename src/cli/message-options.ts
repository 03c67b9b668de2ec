import { type Command, Option } from 'commander';
import type { ClusterOptions } from './cluster.js';
import { defined } from './defined.js';
import type { CliIo } from './io.js';
import { durationMs, entry } from './option-values.js';
import type { InputOptions } from './read-input.js';

/** What the commands that send a message have in common. */
export interface MessageCommandOptions extends ClusterOptions, InputOptions {
  readonly header?: Readonly<Record<string, string>>;
  readonly timeout: number;
}

/** Adds the content as an argument and as options, and what every message can be told. */
export function addMessageOptions(command: Command): Command {
  return command
    .argument('[content]', '"-" reads standard input: JSON, text, or else bytes')
    .option('--json <json>', 'content as JSON; "-" reads standard input')
    .option('--text <text>', 'content as text; "-" reads standard input')
    .option('--file <path>', 'content from a file: .json as JSON, .txt as text, all else as bytes; "-" reads standard input')
    .option('--header <key=value>', 'an entry that the receiver sees, again for more', entry)
    .addOption(new Option('--timeout <duration>', 'when to give up, at most 1h').argParser(durationMs).default(30_000, '30s'));
}

export function messageOptions(io: CliIo, { header, timeout }: MessageCommandOptions) {
  return { ...defined({ headers: header }), timeoutMs: timeout, signal: io.signal };
}

/** Whether the content is a bare `-`; anything else is not taken for content, so that nothing is sent by a slip. */
export function bareStdin(command: Command, content: string | undefined): boolean {
  if (content !== undefined && content !== '-')
    command.error(`"${content}" is too much: give content with --json, --text or --file, or "-" for standard input`);
  return content === '-';
}
