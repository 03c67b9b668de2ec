import { type Command, InvalidArgumentError, Option } from 'commander';
import { STRATEGY_NAMES, type StrategyName } from '../../balancer/strategies.js';
import type { RunOptions } from '../../client/client.js';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import { defined } from '../defined.js';
import type { CliIo } from '../io.js';
import { durationMs, entry, id, ids } from '../option-values.js';
import { type InputOptions, readInput } from '../read-input.js';
import { eventObject, resultObject, writeEvent, writeResult } from '../write-event.js';

interface RunCommandOptions extends ClusterOptions, InputOptions {
  readonly stream?: true;
  readonly agent?: string;
  readonly strategy?: StrategyName;
  readonly idempotent?: true;
  readonly timeout: number;
  readonly label?: Readonly<Record<string, string>>;
}

export function runCommand(program: Command, io: CliIo): void {
  addClusterOptions(program.command('run').description('run a task on an agent that has all of the capabilities'), 'text')
    .argument('[capability]', 'what the agent must be able to do, separated by commas; may be left out with --agent')
    .argument('[input]', '"-" reads standard input: JSON, text, or else bytes')
    .option('--json <json>', 'input as JSON; "-" reads standard input')
    .option('--text <text>', 'input as text; "-" reads standard input')
    .option('--file <path>', 'input from a file: .json as JSON, .txt as text, all else as bytes; "-" reads standard input')
    .option('--stream', 'print what happens as it happens')
    .option('--agent <id>', 'run on this agent only', id)
    .addOption(new Option('--strategy <name>', 'how an agent is chosen').argParser(strategyName(STRATEGY_NAMES)))
    .option('--idempotent', 'running it twice does no harm: repeat it elsewhere where its outcome is unknown')
    .addOption(new Option('--timeout <duration>', 'when to give up, at most 1h').argParser(durationMs).default(30_000, '30s'))
    .option('--label <key=value>', 'an entry that the agent sees, again for more', entry)
    .addHelpText(
      'after',
      examples(
        `troupe run data_processing --json '{"path": "examples/data/sales.csv"}'`,
        `troupe run review --json '{"path": "examples/data/review-me.ts.txt"}' --output json`,
        'echo hello | troupe run greeting -',
        `troupe run testing --json '{"path": "examples/data/stack.test.mjs"}' --stream --timeout 5m --label ticket=42`,
        `troupe run --agent data-1 --json '{"path": "examples/data/sales.csv"}'`,
      ),
    )
    .action(async (first: string | undefined, second: string | undefined, options: RunCommandOptions, command: Command) => {
      const { capabilities, bareStdin } = readArguments(command, first, second, options.agent);
      const input = await readInput(io, command, options, bareStdin);
      const runOptions: RunOptions = {
        ...defined({
          agentId: options.agent,
          strategy: options.strategy,
          idempotent: options.idempotent,
          labels: options.label,
        }),
        timeoutMs: options.timeout,
        signal: io.signal,
      };
      await withClient(io, command, async (client) => {
        const asJson = options.output === 'json';
        if (options.stream) {
          for await (const event of client.runStream(capabilities, input, runOptions)) {
            if (asJson) io.stdout(`${JSON.stringify(eventObject(event))}\n`);
            else writeEvent(io, event);
          }
          return;
        }
        const result = await client.run(capabilities, input, runOptions);
        if (asJson) io.stdout(`${JSON.stringify(resultObject(result))}\n`);
        else writeResult(io, result);
      });
    });
}

/** With --agent the capabilities may be left out: then a `-` alone is the input. */
function readArguments(command: Command, first: string | undefined, second: string | undefined, agent: string | undefined) {
  if (first === '-' && second === undefined) return readArguments(command, undefined, '-', agent);
  if (second !== undefined && second !== '-')
    command.error(`"${second}" is too much: give input with --json, --text or --file, or "-" for standard input`);
  if (first === undefined && agent === undefined) command.error('say what the agent must be able to do, or name it with --agent');
  try {
    return { capabilities: first === undefined ? [] : ids(first), bareStdin: second === '-' };
  } catch {
    return command.error(`"${first}" is no list of capabilities, such as testing,review`);
  }
}

/** Hyphens do for underscores. */
function strategyName(names: readonly StrategyName[]): (text: string) => StrategyName {
  return (text) => {
    const name = names.find((each) => each === text.replaceAll('-', '_'));
    if (name === undefined) throw new InvalidArgumentError(`Allowed are ${names.join(', ')}.`);
    return name;
  };
}
