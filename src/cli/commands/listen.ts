import { type Command, InvalidArgumentError } from 'commander';
import type { TopicMessage } from '../../client/messages.js';
import { isTroupeError, messageOf } from '../../core/errors.js';
import { addClusterOptions, type ClusterOptions, examples, interruptible, withClient } from '../cluster.js';
import { type Paint, paintFor } from '../colours.js';
import type { CliIo } from '../io.js';
import { count, morePatterns } from '../option-values.js';
import { jsonLine, printable } from '../printable.js';
import { readablePayload, writePayload } from '../write-payload.js';

interface ListenOptions extends ClusterOptions {
  readonly count?: number;
}

const MAX_TOPICS = 64;

export function listenCommand(program: Command, io: CliIo): void {
  addClusterOptions(program.command('listen').description('print what is broadcast to topics, until Ctrl-C'), 'text')
    .argument('<topic...>', '"*" stands for one name, ">" at the end for one or more: quote them for the shell', someTopics)
    .option('--count <n>', 'end after so many messages', count(Number.MAX_SAFE_INTEGER))
    .addHelpText(
      'after',
      examples(
        'troupe listen news',
        "troupe listen 'orders.*' 'alerts.>' --output json | jq .payload",
        'troupe listen orders.created --count 1',
      ),
    )
    .action(async (topics: readonly string[], options: ListenOptions, command: Command) => {
      const asJson = options.output === 'json';
      const paint = paintFor(io, 'stderr');
      let left = options.count ?? Number.POSITIVE_INFINITY;
      await withClient(io, command, (client) =>
        interruptible(io, async () => {
          const onSubscribed = (id: string) => {
            if (!asJson) io.stderr(`${paint('dim', `listening as ${printable(id)}`)}\n`);
          };
          for await (const message of client.subscribe(topics, { signal: io.signal, onSubscribed })) {
            if (asJson) io.stdout(jsonLine(toJson(message)));
            else writeMessage(io, message, paint);
            left -= 1;
            if (left === 0) break;
          }
        }),
      );
    });
}

function someTopics(text: string, before: readonly string[] = []): readonly string[] {
  if (before.length >= MAX_TOPICS) throw new InvalidArgumentError(`At most ${MAX_TOPICS} topics are taken.`);
  if (before.includes(text)) throw new InvalidArgumentError('It is given twice.');
  return morePatterns(text, before);
}

/** What was sent on standard output, a line each where it is text, and on standard error what is said about it. */
function writeMessage(io: CliIo, message: TopicMessage, paint: Paint): void {
  io.stderr(`${paint('dim', printable(`${message.topic} from ${message.from}`))}\n`);
  try {
    writePayload(io, message.payload);
    if (message.payload.kind === 'text' && !io.isTTY && !message.payload.text.endsWith('\n')) io.stdout('\n');
  } catch (error) {
    if (!isTroupeError(error)) throw error;
    io.stderr(`${printable(messageOf(error))}\n`);
  }
}

function toJson(message: TopicMessage) {
  const { topic, from, headers } = message;
  return { topic, from, headers: Object.fromEntries(headers), payload: readablePayload(message) };
}
