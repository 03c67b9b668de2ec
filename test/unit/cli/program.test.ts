import { describe, expect, test } from '@jest/globals';
import { buildProgram, type RoleCommand, runCli } from '../../../src/cli/program.js';
import { TroupeError } from '../../../src/core/errors.js';
import { CapturedIo } from './captured-io.js';

const LOOK = ['nodes', 'agents', 'topics', 'stats', 'health', 'dead-letters', 'scale advise'];
const MESSAGES = ['send', 'request', 'broadcast', 'listen'];
const COMMANDS = [...LOOK, 'deploy', 'undeploy', 'drain', 'run', ...MESSAGES, 'call'];
/** Nobody listens on port 1. */
const NOBODY = '127.0.0.1:1';

async function run(args: readonly string[], io = new CapturedIo(), roles: readonly RoleCommand[] = []) {
  return { code: await runCli(args, io, roles), io };
}

describe('help', () => {
  test('lists the commands in groups, roles first', async () => {
    const role: RoleCommand = (program) => program.command('node').description('runs a node');
    const { code, io } = await run(['--help'], new CapturedIo(), [role]);
    expect(code).toBe(0);
    expect(io.err).toBe('');
    const headings = io.lines.filter((line) => /^[A-Z][A-Za-z ]+:$/.test(line));
    const groups = ['Run a role:', 'Look:', 'Change:', 'Tasks:', 'Messages:', 'Any rpc:', 'Help:'];
    expect(headings).toEqual(['Options:', ...groups, 'Examples:']);
    expect(io.out).toContain('Exit codes: 0 done');
  });

  test.each(COMMANDS)('of %s has examples that name it, and its options', async (name) => {
    const path = name.split(' ');
    for (const args of [
      [...path, '--help'],
      [...path.slice(0, -1), 'help', ...path.slice(-1)],
    ]) {
      const { code, io } = await run(args);
      expect(code).toBe(0);
      expect(io.out).toMatch(new RegExp(`Examples:\n(.*\\$ .*\n)*.*troupe ${name}`));
      expect(io.out).toContain('--address <host:port>');
      expect(io.out).toContain('--output <format>');
    }
  });

  test('without a command is wrong usage, and goes to standard error', async () => {
    const { code, io } = await run([]);
    expect(code).toBe(2);
    expect(io.out).toBe('');
    expect(io.err).toContain('Usage: troupe');
  });

  test('--version prints the version', async () => {
    const { code, io } = await run(['--version']);
    expect({ code, out: io.out }).toEqual({ code: 0, out: '1.2.3\n' });
  });
});

describe('wrong usage ends with 2, one line that says what is wrong, and one that says where help is:', () => {
  test.each<[readonly string[], string, string]>([
    [['nods'], "unknown command 'nods' (Did you mean nodes?)", 'troupe'],
    [['nodes', '--adress', 'x'], "unknown option '--adress' (Did you mean --address?)", 'troupe nodes'],
    [['--adress', 'x', 'nodes'], "unknown option '--adress' (Did you mean --address?)", 'troupe'],
    [['nodes', 'x'], "too many arguments for 'nodes'. Expected 0 arguments but got 1.", 'troupe nodes'],
    [
      ['nodes', '-o', 'xml'],
      "option '-o, --output <format>' argument 'xml' is invalid. Allowed choices are table, json.",
      'troupe nodes',
    ],
    [
      ['nodes', '--address', 'x'],
      'address: "x" is not host:port with a port from 1 to 65535, such as 127.0.0.1:8080',
      'troupe nodes',
    ],
    [
      ['nodes', '--address', 'x:70000'],
      'address: "x:70000" is not host:port with a port from 1 to 65535, such as 127.0.0.1:8080',
      'troupe nodes',
    ],
    [
      ['nodes', '--address', 'x:0'],
      'address: "x:0" is not host:port with a port from 1 to 65535, such as 127.0.0.1:8080',
      'troupe nodes',
    ],
    [
      ['call', '--address', 'x'],
      'address: "x" is not host:port with a port from 1 to 65535, such as 127.0.0.1:8080',
      'troupe call',
    ],
    [['nodes', '--address'], "option '--address <host:port>' argument missing", 'troupe nodes'],
    [['deploy'], "missing required argument 'kind'", 'troupe deploy'],
    [
      ['deploy', 'Data'],
      'command-argument value \'Data\' is invalid for argument \'kind\'. It must be 1 to 63 of a-z, 0-9, ".", "_", "-", and start with a letter or digit.',
      'troupe deploy',
    ],
    [
      ['deploy', 'data', '--config', '[]'],
      'option \'--config <json>\' argument \'[]\' is invalid. It must be a JSON object, such as {"key": "value"}.',
      'troupe deploy',
    ],
    [
      ['deploy', 'data', '--concurrency', '0'],
      "option '--concurrency <n>' argument '0' is invalid. It must be a whole number from 1 to 10000.",
      'troupe deploy',
    ],
    [
      ['drain', 'node-1', '--grace', '5'],
      "option '--grace <duration>' argument '5' is invalid. It must be a number and its unit, such as 500ms, 30s, 5m or 1h.",
      'troupe drain',
    ],
    [['undeploy'], "missing required argument 'agent'", 'troupe undeploy'],
    [['run'], 'say what the agent must be able to do, or name it with --agent', 'troupe run'],
    [['run', '-'], 'say what the agent must be able to do, or name it with --agent', 'troupe run'],
    [['run', 'a,'], '"a," is no list of capabilities, such as testing,review', 'troupe run'],
    [['run', 'a', 'b'], '"b" is too much: give input with --json, --text or --file, or "-" for standard input', 'troupe run'],
    [['run', 'a', '--json', '1', '--text', 'x'], 'give one of --json, --text, --file and -, not --json and --text', 'troupe run'],
    [['run', 'a', '--text', 'x', '-'], 'give one of --json, --text, --file and -, not --text and -', 'troupe run'],
    [
      ['run', 'a', '--strategy', 'best'],
      "option '--strategy <name>' argument 'best' is invalid. Allowed are round_robin, random, least_connections, weighted_round_robin, weighted_random, consistent_hash, peak_ewma.",
      'troupe run',
    ],
    [
      ['run', 'a', '--timeout', '0s'],
      "option '--timeout <duration>' argument '0s' is invalid. It must be longer than 0.",
      'troupe run',
    ],
    [['run', 'a', '--label', 'x'], "option '--label <key=value>' argument 'x' is invalid. It must be key=value.", 'troupe run'],
    [['send'], "missing required argument 'agent'", 'troupe send'],
    [
      ['send', 'a', 'hello'],
      '"hello" is too much: give content with --json, --text or --file, or "-" for standard input',
      'troupe send',
    ],
    [['request', 'a', '--text', 'x', '-'], 'give one of --json, --text, --file and -, not --text and -', 'troupe request'],
    [
      ['send', 'a', '--header', 'x'],
      "option '--header <key=value>' argument 'x' is invalid. It must be key=value.",
      'troupe send',
    ],
    [['listen'], "missing required argument 'topic'", 'troupe listen'],
    [['listen', 'a', 'a'], "command-argument value 'a' is invalid for argument 'topic'. It is given twice.", 'troupe listen'],
    [
      ['listen', 'a', '--count', '0'],
      `option '--count <n>' argument '0' is invalid. It must be a whole number from 1 to ${Number.MAX_SAFE_INTEGER}.`,
      'troupe listen',
    ],
    [['call', 'a/b/c'], '"a/b/c" is no method, such as Tasks/Run', 'troupe call'],
    [['call', 'Tasks/'], '"Tasks/" is no method, such as Tasks/Run', 'troupe call'],
  ])('troupe %j', async (args, message, path) => {
    const { code, io } = await run(args);
    expect(io.err).toBe(`error: ${message}\nrun \`${path} --help\`\n`);
    expect(io.out).toBe('');
    expect(code).toBe(2);
  });

  test.each([
    ['broadcast', 'a.*'],
    ['broadcast', 'a b'],
    ['listen', 'a.>.b'],
    ['listen', 'a..b'],
  ])('a topic that is none (%s %s)', async (...args) => {
    const { code, io } = await run(args);
    expect(code).toBe(2);
    expect(io.err).toMatch(/^error: .* is invalid for argument 'topic'\. It must be 1 to 16 names of 1 to 63/);
  });

  test.each([
    ['run', 'a', '--json', '{a'],
    ['call', 'Tasks/Run', '--json', '{a'],
  ])('JSON that is none (%s)', async (...args) => {
    const { code, io } = await run(args);
    expect(code).toBe(2);
    expect(io.err).toMatch(/^error: --json is not JSON: .*; quote it for the shell/);
  });
});

describe('nobody at the address', () => {
  test.each(COMMANDS)('ends %s with 3 and a hint', async (name) => {
    const { code, io } = await run([...name.split(' '), '--address', NOBODY, ...([...LOOK, 'call'].includes(name) ? [] : ['x'])]);
    expect(code).toBe(3);
    expect(io.out).toBe('');
    expect(io.err).toBe(
      `error: cannot connect to ${NOBODY} (UNAVAILABLE NOT_CONNECTED)\n` +
        'is a cluster running? start one with `troupe dev`, or give --address <host:port>\n',
    );
  });

  test.each([['-o', 'json'], ['-ojson'], ['--output', 'json'], ['--output=json']])(
    'is told as JSON with %s %s',
    async (...flags) => {
      const { code, io } = await run(['nodes', '--address', NOBODY, ...flags]);
      expect(code).toBe(3);
      expect(JSON.parse(io.err)).toMatchObject({ code: 'UNAVAILABLE', reason: 'NOT_CONNECTED', metadata: {} });
    },
  );
});

describe('the address', () => {
  test.each<[string, readonly string[], string]>([
    [
      'of the command before that of the program',
      ['--address', '127.0.0.1:3', 'nodes', '--address', '127.0.0.1:2'],
      '127.0.0.1:2',
    ],
    ['of the program before TROUPE_ADDRESS', ['--address', '127.0.0.1:3', 'nodes'], '127.0.0.1:3'],
    ['of TROUPE_ADDRESS before the default', ['nodes'], '127.0.0.1:4'],
  ])('counts: that %s', async (_name, args, address) => {
    const { io } = await run(args, new CapturedIo({ env: { TROUPE_ADDRESS: '127.0.0.1:4' } }));
    expect(io.err).toContain(`cannot connect to ${address} `);
  });
});

describe('role commands', () => {
  const failing = (error: unknown): RoleCommand => {
    return (program) => {
      program
        .command('node')
        .option('--address <host>', 'an option of its own')
        .action(async () => {
          throw error;
        });
    };
  };

  test('may have options with names of the program', async () => {
    let address: unknown;
    const role: RoleCommand = (program) => {
      program
        .command('node')
        .option('--address <host>')
        .action((options: { readonly address: string }) => {
          address = options.address;
        });
    };
    expect((await run(['node', '--address', 'mine'], new CapturedIo(), [role])).code).toBe(0);
    expect(address).toBe('mine');
  });

  test('fail as the others do', async () => {
    const inUse = new TroupeError('UNAVAILABLE', 'PORT_IN_USE', 'cannot listen');
    const { code, io } = await run(['node'], new CapturedIo(), [failing(inUse)]);
    expect({ code, err: io.err }).toEqual({ code: 1, err: 'error: cannot listen (UNAVAILABLE PORT_IN_USE)\n' });
    expect((await run(['node', '--prot', '1'], new CapturedIo(), [failing(inUse)])).code).toBe(2);
  });

  test('are the only ones besides those that talk to a cluster', () => {
    const program = buildProgram(new CapturedIo(), [failing(undefined)]);
    expect(program.commands.map((command) => command.name())).toEqual([
      'node',
      ...COMMANDS.map((name) => name.replace(/ .*/, '')),
    ]);
  });
});
