import { join } from 'node:path';
import { ErrorInfo } from '../../src/gen/google/rpc/error_details.js';
import { ROOT } from './processes.js';
import { type Ran, runCommand } from './run-command.js';

/** A client from outside that learns everything by reflection. */
export interface GrpcClient {
  readonly name: string;
  call(address: string, method: string, data?: object): Promise<Ran>;
  /** The services at an address, one a line. */
  services(address: string): Promise<Ran>;
  /** What an address tells of a symbol, comments and all. */
  describe(address: string, symbol: string): Promise<string>;
  /** How it writes the code of a status. */
  code(name: 'INVALID_ARGUMENT' | 'NOT_FOUND' | 'UNAVAILABLE'): RegExp;
  /** The reason and domain in the details of an error that it printed. */
  errorInfo(ran: Ran): { readonly reason: string; readonly domain: string };
}

const BUF = join(ROOT, 'node_modules', '.bin', 'buf');
const HTTP2 = ['--protocol', 'grpc', '--http2-prior-knowledge'];

/** Comes with npm. */
export const bufCurl: GrpcClient = {
  name: 'buf curl',
  call: (address, method, data = {}) =>
    runCommand(BUF, ['curl', ...HTTP2, '-d', JSON.stringify(data), `http://${address}/${method}`]),
  services: (address) => runCommand(BUF, ['curl', ...HTTP2, '--list-services', `http://${address}`]),
  // It has no such command, but asks the reflection service as well as any other.
  describe: async (address, symbol) => {
    const { stdout } = await bufCurl.call(address, 'grpc.reflection.v1.ServerReflection/ServerReflectionInfo', {
      file_containing_symbol: symbol,
    });
    const { fileDescriptorResponse } = JSON.parse(stdout) as { fileDescriptorResponse: { fileDescriptorProto: string[] } };
    return fileDescriptorResponse.fileDescriptorProto.map((file) => Buffer.from(file, 'base64').toString('utf8')).join('\n');
  },
  code: (name) => new RegExp(`"code":\\s*"${name.toLowerCase()}"`),
  errorInfo: ({ stderr }) => {
    const { details } = JSON.parse(stderr) as { details: { type: string; value: string }[] };
    const { value = '' } = details.find(({ type }) => type === 'google.rpc.ErrorInfo') ?? {};
    return ErrorInfo.decode(Buffer.from(value, 'base64'));
  },
};

export const grpcurl = (binary: string): GrpcClient => ({
  name: 'grpcurl',
  call: (address, method, data = {}) => runCommand(binary, ['-plaintext', '-d', JSON.stringify(data), address, method]),
  services: (address) => runCommand(binary, ['-plaintext', address, 'list']),
  describe: async (address, symbol) => (await runCommand(binary, ['-plaintext', address, 'describe', symbol])).stdout,
  code: (name) => new RegExp(`Code: ${name.toLowerCase().replace(/(^|_)(.)/g, (_, __, letter: string) => letter.toUpperCase())}`),
  errorInfo: ({ stderr }) => ({
    reason: /"reason": "(\w+)"/.exec(stderr)?.[1] ?? '',
    domain: /"domain": "([\w.]+)"/.exec(stderr)?.[1] ?? '',
  }),
});
