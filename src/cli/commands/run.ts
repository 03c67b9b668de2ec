import { type Command, InvalidArgumentError, Option } from 'commander';
import { STRATEGY_NAMES, type StrategyName } from '../../balancer/strategies.js';
import { PRIORITY_NAMES, type RunOptions, type TaskPriority } from '../../client/run-options.js';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import { defined } from '../defined.js';
import type { CliIo } from '../io.js';
import { count, durationMs, entry, graceMs, id, ids } from '../option-values.js';
import { jsonLine } from '../printable.js';
import { type InputOptions, readInput } from '../read-input.js';
import { eventObject, resultObject, writeEvent, writeResult } from '../write-event.js';

interface RunCommandOptions extends ClusterOptions, InputOptions {
  readonly stream?: true;
  readonly agent?: string;
  readonly strategy?: StrategyName;
  readonly routingKey?: string;
  readonly idempotent?: true;
  readonly priority?: TaskPriority;
  readonly attempts?: number;
  readonly hedge?: number;
  readonly fallback?: string;
  readonly resumeWindow: number;
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
    .option('--routing-key <key>', 'tasks with the same key go to the same agent (with --strategy consistent_hash)')
    .option('--idempotent', 'running it twice does no harm: repeat it elsewhere where its outcome is unknown')
    .addOption(new Option('--priority <level>', 'who goes first where tasks wait').choices(PRIORITY_NAMES))
    .option('--attempts <n>', 'tries all in all, 1 to 10 (default: 5)', count(10))
    .option('--hedge <duration>', 'ask another agent as well after this; needs --idempotent', durationMs)
    .option('--fallback <capability>', 'may do it instead where no agent can take it', id)
    .addOption(
      new Option('--resume-window <duration>', 'how long a stream survives a lost connection, at most 5m; 0s: not at all')
        .argParser(resumeWindowMs)
        .default(30_000, '30s'),
    )
    .addOption(new Option('--timeout <duration>', 'when to give up, at most 1h').argParser(durationMs).default(30_000, '30s'))
    .option('--label <key=value>', 'an entry that the agent sees, again for more', entry)
    .addHelpText(
      'after',
      examples(
        `troupe run data_processing --json '{"csv": "region,sales\\nnorth,12\\nsouth,30"}'`,
        `troupe run review --json '{"source": "const answer: string = 42;"}' --output json`,
        `echo '{"text": "I was charged twice"}' | troupe run inference -`,
        `troupe run analysis --json '{"csv": "month,visits\\n1,200\\n2,350"}' --stream --timeout 5m --label ticket=42`,
        'troupe run inference --json \'{"text": "hi"}\' --idempotent --hedge 200ms --priority high',
        'troupe run inference --json \'{"text": "hi"}\' --strategy consistent-hash --routing-key session-42 --fallback analysis',
        `troupe run --agent data-1 --json '{"csv": "region,sales\\nnorth,12\\nsouth,30"}'`,
      ),
    )
    .action(async (first: string | undefined, second: string | undefined, options: RunCommandOptions, command: Command) => {
      const { capabilities, bareStdin } = readArguments(command, first, second, options.agent);
      const input = await readInput(io, command, options, bareStdin);
      if (options.hedge !== undefined && options.idempotent === undefined)
        command.error('--hedge needs --idempotent: several agents may do the task');
      const retry = defined({ maxAttempts: options.attempts, hedgingDelayMs: options.hedge });
      const runOptions: RunOptions = {
        ...defined({
          agentId: options.agent,
          strategy: options.strategy,
          routingKey: options.routingKey,
          idempotent: options.idempotent,
          priority: options.priority,
          retry: Object.keys(retry).length === 0 ? undefined : retry,
          fallbackCapability: options.fallback,
          labels: options.label,
        }),
        timeoutMs: options.timeout,
        signal: io.signal,
      };
      await withClient(io, command, async (client) => {
        const asJson = options.output === 'json';
        if (options.stream) {
          for await (const event of client.runStream(capabilities, input, {
            ...runOptions,
            resumeWindowMs: options.resumeWindow,
          })) {
            if (asJson) io.stdout(jsonLine(eventObject(event)));
            else writeEvent(io, event);
          }
          return;
        }
        const result = await client.run(capabilities, input, runOptions);
        if (asJson) io.stdout(jsonLine(resultObject(result)));
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

const MAX_RESUME_WINDOW_MS = 300_000;

function resumeWindowMs(text: string): number {
  const ms = graceMs(text);
  if (ms > MAX_RESUME_WINDOW_MS) throw new InvalidArgumentError('It must be at most 5m.');
  return ms;
}

/** Hyphens do for underscores. */
function strategyName(names: readonly StrategyName[]): (text: string) => StrategyName {
  return (text) => {
    const name = names.find((each) => each === text.replaceAll('-', '_'));
    if (name === undefined) throw new InvalidArgumentError(`Allowed are ${names.join(', ')}.`);
    return name;
  };
}
