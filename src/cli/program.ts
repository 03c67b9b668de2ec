import { Command, type CommanderError } from 'commander';
import { ADDRESS_FLAGS, ADDRESS_HELP, examples } from './cluster.js';
import { agentsCommand } from './commands/agents.js';
import { broadcastCommand } from './commands/broadcast.js';
import { callCommand } from './commands/call.js';
import { deadLettersCommand } from './commands/dead-letters.js';
import { deployCommand } from './commands/deploy.js';
import { drainCommand } from './commands/drain.js';
import { healthCommand } from './commands/health.js';
import { listenCommand } from './commands/listen.js';
import { nodesCommand } from './commands/nodes.js';
import { requestCommand } from './commands/request.js';
import { runCommand } from './commands/run.js';
import { scaleCommand } from './commands/scale.js';
import { sendCommand } from './commands/send.js';
import { statsCommand } from './commands/stats.js';
import { topicsCommand } from './commands/topics.js';
import { undeployCommand } from './commands/undeploy.js';
import { type ErrorFormat, EXIT, ExitError, exitCodeOf, printError, UsageError } from './errors.js';
import type { CliIo } from './io.js';

type AddCommand = (program: Command, io: CliIo) => void;

/** Adds a command that runs a role (`program.command('node')…`). Its action throws what printError prints. */
export type RoleCommand = AddCommand;

const GROUPS: readonly { readonly heading: string; readonly add: readonly AddCommand[] }[] = [
  {
    heading: 'Look:',
    add: [nodesCommand, agentsCommand, topicsCommand, statsCommand, healthCommand, deadLettersCommand, scaleCommand],
  },
  { heading: 'Change:', add: [deployCommand, undeployCommand, drainCommand] },
  { heading: 'Tasks:', add: [runCommand] },
  { heading: 'Messages:', add: [sendCommand, requestCommand, broadcastCommand, listenCommand] },
  { heading: 'Any rpc:', add: [callCommand] },
];

/** The whole command. Parsing throws UsageError for wrong usage, ExitError after help and version. */
export function buildProgram(io: CliIo, roleCommands: readonly RoleCommand[]): Command {
  const program = new Command('troupe')
    .description('A distributed runtime for AI agents over gRPC.')
    .usage('[options] <command>')
    .version(io.version, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .option(ADDRESS_FLAGS, ADDRESS_HELP)
    // So that a role may have an option of the same name as one of the program.
    .enablePositionalOptions()
    .configureOutput({ writeOut: io.stdout, writeErr: io.stderr, outputError: () => undefined })
    .addHelpText(
      'after',
      `${examples(
        'troupe dev                                      # a cluster on this machine',
        'troupe nodes',
        'troupe deploy data',
        `troupe run data_processing --json '{"csv": "region,sales\\nnorth,12\\nsouth,30"}'`,
        'troupe call Tasks/Run --json \'{"task": {"required_capabilities": ["inference"], "payload": {"json": {"text": "I was charged twice"}}}}\'',
      )}

Exit codes: 0 done, 1 failure, 2 wrong usage, 3 not reachable, 4 refused by the cluster, 130 interrupted.
Environment: TROUPE_ADDRESS (the gateway), NO_COLOR (no colours), TROUPE_DEBUG=1 (stack traces of errors).`,
    );
  program.commandsGroup('Run a role:');
  for (const add of roleCommands) add(program, io);
  for (const { heading, add } of GROUPS) {
    program.commandsGroup(heading);
    for (const each of add) each(program, io);
  }
  program.commandsGroup('Help:').helpCommand('help [command]', 'print the help of a command');
  throwUsageErrors(program, 'troupe');
  return program;
}

/** Runs the command with the arguments of a user (without node and script). Gives the exit code; every error is printed. */
export async function runCli(argv: readonly string[], io: CliIo, roleCommands: readonly RoleCommand[]): Promise<number> {
  try {
    await buildProgram(io, roleCommands).parseAsync(argv, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    printError(io, error, errorFormat(argv));
    return exitCodeOf(error);
  }
}

/** Looked up in the arguments themselves, since they may be what is wrong. */
function errorFormat(argv: readonly string[]): ErrorFormat {
  const isJson = argv.some((word, index) =>
    word === '--output' || word === '-o' ? argv[index + 1] === 'json' : word === '--output=json' || word === '-ojson',
  );
  return isJson ? 'json' : 'text';
}

function throwUsageErrors(command: Command, path: string): void {
  command.exitOverride((error) => {
    throw fromCommander(error, path);
  });
  for (const child of command.commands) throwUsageErrors(child, `${path} ${child.name()}`);
}

function fromCommander(error: CommanderError, path: string): UsageError | ExitError {
  switch (error.code) {
    case 'commander.helpDisplayed':
    case 'commander.version':
      return new ExitError(EXIT.ok);
    case 'commander.help':
      return new ExitError(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
    default: {
      const message = error.message
        .replace(/^error: /, '')
        .replace(/\s*\n\s*/g, ' ')
        .trim();
      return new UsageError(message, `run \`${path} --help\``);
    }
  }
}
