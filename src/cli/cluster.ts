import { type Command, Option } from 'commander';
import { type ConnectOptions, connect, DEFAULT_ADDRESS, type TroupeClient } from '../client/client.js';
import { abortable } from '../core/abort.js';
import { HOST_PORT_RULE, isHostPort } from '../core/address.js';
import { EXIT, ExitError } from './errors.js';
import type { CliIo } from './io.js';

/** What the commands that talk to a cluster have in common. */

export const ADDRESS_FLAGS = '--address <host:port>';
export const ADDRESS_HELP = `the cluster's gateway (env: TROUPE_ADDRESS, default: ${DEFAULT_ADDRESS})`;

export interface ClusterOptions {
  readonly address?: string;
  readonly output: 'table' | 'text' | 'json';
}

/** Adds --address and --output; `people` names the form that is for people. */
export function addClusterOptions(command: Command, people: 'table' | 'text'): Command {
  return command
    .option(ADDRESS_FLAGS, ADDRESS_HELP)
    .addOption(new Option('-o, --output <format>', 'for people or for programs').choices([people, 'json']).default(people));
}

/** Lines for the end of a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}

/** Given to the command, to one before it such as `troupe`, by TROUPE_ADDRESS, or the default. @throws UsageError when it is not host:port. */
export function addressOf(io: CliIo, command: Command): string {
  const address = givenAddress(command) ?? (io.env.TROUPE_ADDRESS || DEFAULT_ADDRESS);
  if (!isHostPort(address)) command.error(`address: "${address}" is not ${HOST_PORT_RULE}, such as ${DEFAULT_ADDRESS}`);
  return address;
}

function givenAddress(command: Command | null): string | undefined {
  if (command === null) return undefined;
  return command.opts<Partial<ClusterOptions>>().address ?? givenAddress(command.parent);
}

/** What `work` gives with a client, which is closed afterwards. Ctrl-C ends it, and the command with 130. */
export async function withClient<T>(
  io: CliIo,
  command: Command,
  work: (client: TroupeClient) => Promise<T>,
  options: ConnectOptions = {},
): Promise<T> {
  const client = connect(addressOf(io, command), options);
  try {
    return await interruptible(io, () => work(client));
  } finally {
    client.close();
  }
}

/** What `work` gives, unless Ctrl-C comes first. @throws ExitError */
export async function interruptible<T>(io: CliIo, work: () => Promise<T>): Promise<T> {
  try {
    return await abortable(work(), io.signal);
  } catch (error) {
    if (!io.signal.aborted) throw error;
    const reason: unknown = io.signal.reason;
    throw reason instanceof ExitError ? reason : new ExitError(EXIT.interrupted);
  }
}
