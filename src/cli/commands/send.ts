import type { Command } from 'commander';
import { addClusterOptions, examples, withClient } from '../cluster.js';
import { defined } from '../defined.js';
import type { CliIo } from '../io.js';
import { addMessageOptions, bareStdin, type MessageCommandOptions, messageOptions } from '../message-options.js';
import { id } from '../option-values.js';
import { jsonLine } from '../printable.js';
import { readInput } from '../read-input.js';

interface SendCommandOptions extends MessageCommandOptions {
  readonly id?: string;
  readonly atLeastOnce?: true;
  readonly wait?: true;
}

export function sendCommand(program: Command, io: CliIo): void {
  const command = addClusterOptions(
    program.command('send').description('send a message to an agent; done when its mailbox has it'),
    'text',
  ).argument('<agent>', 'its id', id);
  addMessageOptions(command)
    .option('--id <id>', "the message's own name, which the agent sees, at most 63 characters")
    .option('--at-least-once', 'send it again until it is acknowledged; the agent gets it once')
    .option('--wait', 'let it wait for room where the mailbox is full, until --timeout')
    .addHelpText(
      'after',
      examples(
        `troupe send notes-1 --json '{"note": "the invoice is paid"}'`,
        'echo hello | troupe send notes-1 -',
        'troupe send notes-1 --text hello --at-least-once --id note-42 --wait --timeout 5m --header ticket=42',
      ),
    )
    .action(async (agent: string, content: string | undefined, options: SendCommandOptions, self: Command) => {
      const input = await readInput(io, self, options, bareStdin(self, content));
      await withClient(io, self, (client) =>
        client.send(agent, input, {
          ...messageOptions(io, options),
          ...defined({ id: options.id, atLeastOnce: options.atLeastOnce, waitForRoom: options.wait }),
        }),
      );
      io.stdout(options.output === 'json' ? jsonLine({ to: agent, delivered: true }) : `delivered to ${agent}\n`);
    });
}
