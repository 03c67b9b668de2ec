import { type DescMethod, type FileRegistry, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf';
import type { Channel } from '@grpc/grpc-js';
import type { Command } from 'commander';
import { messageOf, TroupeError } from '../core/errors.js';
import { connected, openChannel } from '../rpc/channels.js';
import { RawClient } from '../rpc/raw-client.js';
import { oneChannel } from '../rpc/renewed-channel.js';
import { addressOf, type ClusterOptions, interruptible } from './cluster.js';
import { paintFor } from './colours.js';
import { type Descriptors, descriptorsFrom, resolveService } from './descriptors.js';
import type { CliIo } from './io.js';
import { jsonLine } from './printable.js';
import { parseJson, readFileBytes, readStdin } from './read-input.js';
import { pathOf, Reflection } from './reflection.js';
import { type Column, formatTable } from './table.js';

export interface CallOptions extends ClusterOptions {
  readonly json: string;
  readonly timeout?: number;
  readonly descriptorSet?: string;
}

const CONNECT_TIMEOUT_MS = 3_000;
const UNARY_TIMEOUT_MS = 30_000;

/** Does what `troupe call` is for: types by reflection or from a file, JSON in and out. */
export async function callRpc(io: CliIo, command: Command, target: string | undefined, options: CallOptions): Promise<void> {
  const [serviceName, methodName, ...rest] = (target ?? '').replace(/^\//, '').split('/');
  if (rest.length > 0 || serviceName === undefined || methodName === '')
    return command.error(`"${target}" is no method, such as Tasks/Run`);
  const json = options.json === '-' ? (await readStdin(io)).toString() : options.json;
  const request = parseJson(command, json) as JsonValue;
  await withChannel(io, command, async (channel) => {
    const descriptors =
      options.descriptorSet === undefined
        ? new Reflection(channel)
        : descriptorsFrom(options.descriptorSet, await readFileBytes(options.descriptorSet));
    if (methodName === undefined) return await listMethods(io, descriptors, serviceName, options.output);
    const { service, types } = await descriptors.service(await resolveService(descriptors, serviceName));
    const method = service.methods.find(({ name }) => name === methodName);
    if (method === undefined) throw noMethod(methodName, service.typeName, service.methods);
    await call(io, new RawClient(oneChannel(channel)), {
      command,
      method,
      types,
      request: encode(command, method, types, request),
    });
  });
}

async function withChannel(io: CliIo, command: Command, work: (channel: Channel) => Promise<void>): Promise<void> {
  const address = addressOf(io, command);
  const channel = openChannel(address);
  try {
    await interruptible(io, async () => {
      await connected(channel, address, CONNECT_TIMEOUT_MS);
      await work(channel);
    });
  } finally {
    channel.close();
  }
}

interface PreparedCall {
  readonly command: Command;
  readonly method: DescMethod;
  readonly types: FileRegistry;
  readonly request: Buffer;
}

async function call(io: CliIo, client: RawClient, { command, method, types, request }: PreparedCall): Promise<void> {
  const { timeout } = command.opts<CallOptions>();
  const print = (bytes: Uint8Array) => {
    const message = toJson(method.output, fromBinary(method.output, bytes), { registry: types });
    io.stdout(jsonLine(message, io.isTTY ? 2 : 0));
  };
  switch (method.methodKind) {
    case 'unary': {
      const { response, cancel } = client.unary(pathOf(method), request, {
        deadlineMs: Date.now() + (timeout ?? UNARY_TIMEOUT_MS),
      });
      io.signal.addEventListener('abort', cancel, { once: true });
      try {
        print(await response);
      } finally {
        io.signal.removeEventListener('abort', cancel);
      }
      return;
    }
    case 'server_streaming': {
      const deadlineMs = timeout === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeout;
      for await (const bytes of client.serverStream(pathOf(method), request, { deadlineMs, signal: io.signal })) print(bytes);
      return;
    }
    default:
      command.error(`${pathOf(method).slice(1)} takes a stream of requests, which this command does not send; grpcurl does`);
  }
}

function encode(command: Command, method: DescMethod, types: FileRegistry, request: JsonValue): Buffer {
  try {
    return Buffer.from(toBinary(method.input, fromJson(method.input, request, { registry: types })));
  } catch (error) {
    return command.error(`--json: ${messageOf(error)}`);
  }
}

interface MethodRow {
  readonly method: string;
  readonly request: string;
  readonly response: string;
}

const COLUMNS: readonly Column<MethodRow>[] = [
  { heading: 'METHOD', cell: ({ method }) => method },
  { heading: 'REQUEST', cell: ({ request }) => request },
  { heading: 'RESPONSE', cell: ({ response }) => response },
];

async function listMethods(
  io: CliIo,
  descriptors: Descriptors,
  serviceName: string,
  output: ClusterOptions['output'],
): Promise<void> {
  const names = serviceName === '' ? await descriptors.serviceNames() : [await resolveService(descriptors, serviceName)];
  const rows: MethodRow[] = [];
  for (const name of names) {
    const { service } = await descriptors.service(name);
    for (const method of service.methods) {
      const { methodKind: kind } = method;
      const requestStream = kind === 'client_streaming' || kind === 'bidi_streaming' ? 'stream ' : '';
      const responseStream = kind === 'server_streaming' || kind === 'bidi_streaming' ? 'stream ' : '';
      rows.push({
        method: pathOf(method).slice(1),
        request: requestStream + method.input.name,
        response: responseStream + method.output.name,
      });
    }
  }
  if (output === 'json') io.stdout(jsonLine(rows));
  else io.stdout(formatTable(COLUMNS, rows, paintFor(io, 'stdout')));
}

function noMethod(name: string, service: string, methods: readonly DescMethod[]): TroupeError {
  const names = methods.map((method) => method.name).join(', ');
  return new TroupeError('NOT_FOUND', 'NO_METHOD', `no method "${name}" in ${service}; there are: ${names}`);
}
