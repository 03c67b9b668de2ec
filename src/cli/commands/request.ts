import type { Command } from 'commander';
import { addClusterOptions, examples, withClient } from '../cluster.js';
import { paintFor } from '../colours.js';
import { defined } from '../defined.js';
import { formatMs } from '../format-ms.js';
import type { CliIo } from '../io.js';
import { addMessageOptions, bareStdin, type MessageCommandOptions, messageOptions } from '../message-options.js';
import { id } from '../option-values.js';
import { jsonLine, printable } from '../printable.js';
import { readInput } from '../read-input.js';
import { payloadObject, writePayload } from '../write-payload.js';

interface RequestCommandOptions extends MessageCommandOptions {
  readonly idempotent?: true;
}

export function requestCommand(program: Command, io: CliIo): void {
  const command = addClusterOptions(
    program.command('request').description('send a message to an agent and print its answer'),
    'text',
  ).argument('<agent>', 'its id', id);
  addMessageOptions(command)
    .option('--idempotent', 'asking twice does no harm: ask again where the outcome is unknown')
    .addHelpText(
      'after',
      examples(
        `troupe request notes-1 --json '{"search": "invoice"}'`,
        'troupe request notes-1 --text list --output json | jq .payload',
      ),
    )
    .action(async (agent: string, content: string | undefined, options: RequestCommandOptions, self: Command) => {
      const input = await readInput(io, self, options, bareStdin(self, content));
      const { answer, durationMs } = await withClient(io, self, async (client) => {
        await client.ready();
        const startedMs = performance.now();
        const given = await client.request(agent, input, {
          ...messageOptions(io, options),
          ...defined({ idempotent: options.idempotent }),
        });
        return { answer: given, durationMs: performance.now() - startedMs };
      });
      const { from, payload } = answer;
      if (options.output === 'json') {
        io.stdout(jsonLine({ from, durationMs: Math.round(durationMs * 1_000) / 1_000, payload: payloadObject(payload) }));
        return;
      }
      writePayload(io, payload);
      io.stderr(`${paintFor(io, 'stderr')('dim', printable(`${from}, ${formatMs(durationMs)}`))}\n`);
    });
}
