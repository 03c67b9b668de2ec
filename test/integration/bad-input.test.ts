import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import { ErrorInfo } from '../../src/gen/google/rpc/error_details.js';
import { Status } from '../../src/gen/google/rpc/status.js';
import { MessagingDefinition } from '../../src/gen/troupe/v1/messaging.js';
import { NodeDefinition } from '../../src/gen/troupe/v1/node.js';
import { RegistryDefinition } from '../../src/gen/troupe/v1/registry.js';
import { TasksDefinition } from '../../src/gen/troupe/v1/tasks.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { client, isAlive, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';

/** Every rpc, with the role that serves it. */
const METHODS = [TasksDefinition, MessagingDefinition, NodeDefinition, RegistryDefinition].flatMap(({ fullName, methods }) =>
  Object.values(methods).map(({ name }) => ({ service: fullName, path: `/${fullName}/${name}` })),
);

let roles: { readonly registry: Role; readonly node: Role; readonly gateway: Role };
let troupe: TroupeClient;

beforeAll(async () => {
  const registry = await startRegistry();
  const [node, gateway] = await Promise.all([startNode('node-1', registry.address), startGateway(registry.address)]);
  roles = { registry, node, gateway };
  troupe = client(gateway.address);
  await eventually(() => troupe.deploy({ id: 'canary', kind: 'echo' }, 'node-1'));
}, 30_000);

/** Whatever a test sent: all processes live, answer, and have logged no error. */
afterEach(async () => {
  expect((await troupe.run('echo', { canary: 'sings' })).json()).toMatchObject({ input: { canary: 'sings' } });
  expect((await troupe.stats()).instances).toBe(3);
  for (const { process } of Object.values(roles)) {
    expect(isAlive(process.pid)).toBe(true);
    expect(process.logs.filter(({ level }) => level === 'error')).toEqual([]);
    expect(process.stderr).not.toMatch(/^\s+at .*\.js:\d+/m);
  }
});

interface Answer {
  readonly code: number;
  readonly message: string;
  readonly reason: string;
}

/** One call with a body of our own making, framed as gRPC frames a message unless `framed` is false. */
async function call(
  role: Role,
  path: string,
  body: Uint8Array,
  { headers = {}, framed = true }: { readonly headers?: Record<string, string>; readonly framed?: boolean } = {},
): Promise<Answer> {
  const session: ClientHttp2Session = connectHttp2(`http://${role.address}`);
  const closed = new Promise((resolve) => session.once('close', resolve));
  cleanUp(async () => {
    session.destroy();
    await closed;
  });
  return new Promise((resolve, reject) => {
    session.once('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const told: Record<string, unknown> = {};
    stream.on('response', (received) => Object.assign(told, received));
    stream.on('trailers', (received) => Object.assign(told, received));
    stream.on('error', () => undefined);
    stream.on('close', () => resolve(answerOf(told)));
    stream.resume();
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(body.length, 1);
    stream.end(framed ? Buffer.concat([prefix, body]) : body);
    setTimeout(() => stream.close(), 8_000).unref();
  });
}

function answerOf(told: Record<string, unknown>): Answer {
  const details = told['grpc-status-details-bin'];
  let reason = '';
  if (typeof details === 'string') {
    const any = Status.decode(Buffer.from(details, 'base64')).details.find(({ typeUrl }) =>
      typeUrl.endsWith('google.rpc.ErrorInfo'),
    );
    reason = any === undefined ? '' : ErrorInfo.decode(any.value).reason;
  }
  return { code: Number(told['grpc-status'] ?? -1), message: decodeURIComponent(String(told['grpc-message'] ?? '')), reason };
}

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

const text = (value: string) => Buffer.from(value);
const RUN = '/troupe.v1.Tasks/Run';
/** `task` of a RunRequest, with the capability that the canary offers. */
const runRequest = (...fields: readonly Uint8Array[]) => field(1, Buffer.concat([field(2, text('echo')), Buffer.concat(fields)]));
const json = (value: Uint8Array) => field(4, field(1, value));

/** A google.protobuf.Value of lists in lists. */
function nestedValue(levels: number): Buffer {
  // Built from the inside out in place: each level is a list_value (6) with one value (1).
  let value: Buffer = Buffer.from([8, 0]);
  const wraps: Buffer[] = [];
  let length = value.length;
  for (let level = 0; level < levels; level++) {
    const inner = Buffer.concat([Buffer.from([10]), varint(length)]);
    const outer = Buffer.concat([Buffer.from([50]), varint(length + inner.length)]);
    wraps.push(inner, outer);
    length += inner.length + outer.length;
  }
  value = Buffer.concat([...wraps.reverse(), value]);
  return value;
}

describe('every rpc', () => {
  const everywhere = () =>
    Object.entries(roles).flatMap(([name, role]) =>
      METHODS.filter(({ service }) =>
        name === 'gateway' ? true : name === 'node' ? service !== 'troupe.v1.Registry' : service === 'troupe.v1.Registry',
      ).map(({ path }) => ({ name: `${name} ${path}`, role, path })),
    );

  it.each([
    ['garbage', Buffer.from('fffefdfcfbfaf9f8ff', 'hex')],
    ['a length that goes beyond the end', Buffer.from([10, 0xff, 0xff, 0x03, 1])],
    ['an unfinished varint', Buffer.from([8, 0x80])],
    ['an end of a group that has not begun', Buffer.from([12])],
    ['a field number of 0', Buffer.from([0, 1])],
  ])('refuses %s with INVALID_ARGUMENT', async (_, body) => {
    const answers = await Promise.all(
      everywhere().map(async ({ name, role, path }) => [name, (await call(role, path, body)).code] as const),
    );
    expect(answers.filter(([, code]) => code !== status.INVALID_ARGUMENT)).toEqual([]);
  });

  it('refuses more than 4 MiB with RESOURCE_EXHAUSTED', async () => {
    const body = field(15, Buffer.alloc(4 * 1024 * 1024 + 1));
    for (const { name, role, path } of everywhere())
      expect([name, (await call(role, path, body)).code]).toEqual([name, status.RESOURCE_EXHAUSTED]);
  }, 60_000);

  it('refuses 50 KB of metadata with RESOURCE_EXHAUSTED', async () => {
    const headers = { 'x-large': 'x'.repeat(50_000) };
    for (const role of Object.values(roles))
      expect((await call(role, '/grpc.health.v1.Health/Check', Buffer.alloc(0), { headers })).code).toBe(
        status.RESOURCE_EXHAUSTED,
      );
  });

  it.each(['-5S', 'abc5S', '5', '', '999999999S'])('refuses a grpc-timeout of "%s"', async (timeout) => {
    for (const role of Object.values(roles))
      expect(
        (await call(role, '/grpc.health.v1.Health/Check', Buffer.alloc(0), { headers: { 'grpc-timeout': timeout } })).code,
      ).toBe(status.INVALID_ARGUMENT);
  });

  it('takes a grpc-timeout of 99999999H for a long time', async () => {
    const answer = await call(roles.gateway, RUN, runRequest(), { headers: { 'grpc-timeout': '99999999H' } });
    expect(answer.code).toBe(status.OK);
  });

  it('answers unknown methods with UNIMPLEMENTED', async () => {
    for (const path of ['/troupe.v1.Tasks/Walk', '/nothing.here/At', '/', '/..%2f..%2fetc/passwd'])
      expect((await call(roles.gateway, path, Buffer.alloc(0))).code).toBe(status.UNIMPLEMENTED);
  });

  it('ends a call whose message is cut off or badly framed, without an answer of its own', async () => {
    for (const body of [Buffer.from([0, 0, 0, 1, 0, 1, 2]), Buffer.from([9, 9, 9]), Buffer.from([1, 0, 0, 0, 4, 1, 2, 3, 4])]) {
      const { code } = await call(roles.gateway, RUN, body, { framed: false });
      expect(code).not.toBe(status.OK);
    }
  });
});

describe('a task', () => {
  const run = (...fields: readonly Uint8Array[]) => call(roles.gateway, RUN, runRequest(...fields));

  it.each([
    ['../x', text('../x')],
    ['a/b', text('a/b')],
    ['NUL', text('a\0b')],
    ['right-to-left marks', text('a\u202eb')],
    ['capital letters', text('Task')],
    ['10 KB', text('x'.repeat(10_240))],
  ])('with an id of %s is refused, naming the field', async (_, id) => {
    for (const [number, name] of [
      [1, 'task.id'],
      [3, 'task.agent_id'],
      [2, 'task.required_capabilities[1]'],
    ] as const) {
      const answer = await run(field(number, id));
      expect(answer).toMatchObject({ code: status.INVALID_ARGUMENT, reason: 'INVALID_FIELD' });
      expect(answer.message).toContain(name);
      expect(answer.message.length).toBeLessThan(1_100);
    }
  });

  it('with invalid UTF-8 is refused wherever it is', async () => {
    const wrong = Buffer.from([0x61, 0xff, 0xc0, 0x80]);
    for (const place of [
      field(1, wrong),
      field(2, wrong),
      field(8, Buffer.concat([field(1, text('k')), field(2, wrong)])),
      field(8, Buffer.concat([field(1, wrong), field(2, text('v'))])),
      json(field(3, wrong)),
      field(4, field(2, wrong)),
      field(4, Buffer.concat([field(2, text('x')), field(4, wrong)])),
    ])
      expect(await run(place)).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('with 100,000 labels is refused', async () => {
    const labels = Array.from({ length: 100_000 }, (_, n) =>
      field(8, Buffer.concat([field(1, text(`k${n}`)), field(2, text('v'))])),
    );
    expect(await run(Buffer.concat(labels))).toMatchObject({ code: status.INVALID_ARGUMENT, reason: 'INVALID_FIELD' });
  });

  it('with JSON nested 20,000 levels deep is refused, and 30 levels arrive', async () => {
    expect(await run(json(nestedValue(20_000)))).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(await run(json(nestedValue(30)))).toMatchObject({ code: status.OK });
    let deep: unknown = 1;
    for (let level = 0; level < 20_000; level++) deep = [deep];
    await expect(troupe.run('echo', deep as object)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('keeps keys such as __proto__ as plain data', async () => {
    const input = JSON.parse('{"__proto__": {"polluted": "yes"}, "constructor": {"prototype": {"polluted": "yes"}}}') as object;
    const labels = Object.fromEntries([['__proto__', 'label']]);
    const { input: seen, polluted } = (await troupe.run('echo', input, { labels })).json<{ input: object; polluted?: string }>();
    expect(JSON.stringify(seen)).toBe(JSON.stringify(input));
    expect(polluted).toBeUndefined();
    expect((await troupe.run('echo', { a: 1 })).json<{ input: object }>().input).toEqual({ a: 1 });
  });

  it('with an unknown strategy, a deadline that is no time or has passed is refused', async () => {
    expect(await run(Buffer.from([0x30, 0x63]))).toMatchObject({ code: status.INVALID_ARGUMENT });
    // -1 s since the epoch; a year of 5 * 10^10.
    expect(await run(field(5, Buffer.from('08ffffffffffffffffff01', 'hex')))).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect((await run(field(5, Buffer.from('08ffffffffffffffff7f', 'hex')))).code).not.toBe(status.INTERNAL);
  });
});

describe('a deployment', () => {
  const DEPLOY = '/troupe.v1.Node/DeployAgent';
  const manifest = (...fields: readonly Uint8Array[]) => field(1, Buffer.concat([field(2, text('echo')), ...fields]));

  it.each(['../x', 'a/b', 'a\0b', '', 'X', 'x'.repeat(10_240), '..', '.hidden', '__proto__'])(
    'of the id %j is refused',
    async (id) => {
      for (const role of [roles.gateway, roles.node])
        expect(await call(role, DEPLOY, manifest(field(1, text(id))))).toMatchObject({
          code: status.INVALID_ARGUMENT,
          message: expect.stringContaining('manifest.id'),
        });
    },
  );

  it('of a kind named like what every object has is refused', async () => {
    for (const kind of ['constructor', 'tostring', 'hasownproperty', '__proto__']) {
      const body = field(1, Buffer.concat([field(1, text('x')), field(2, text(kind))]));
      for (const role of [roles.gateway, roles.node])
        expect([status.NOT_FOUND, status.INVALID_ARGUMENT]).toContain((await call(role, DEPLOY, body)).code);
    }
  });

  it('with 100,000 entries of metadata, or a configuration nested 20,000 levels deep, is refused', async () => {
    const entries = Array.from({ length: 100_000 }, (_, n) =>
      field(8, Buffer.concat([field(1, text(`k${n}`)), field(2, text('v'))])),
    );
    const config = field(4, field(1, Buffer.concat([field(1, text('a')), field(2, nestedValue(20_000))])));
    for (const role of [roles.gateway, roles.node])
      for (const body of [manifest(field(1, text('x')), ...entries), manifest(field(1, text('x')), config)])
        expect(await call(role, DEPLOY, body)).toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});

describe('a registration', () => {
  const REGISTER = '/troupe.v1.Registry/Register';
  const endpoint = (host: string, port = 1) => field(3, Buffer.concat([field(1, text(host)), Buffer.from([16]), varint(port)]));
  const instance = (...fields: readonly Uint8Array[]) =>
    field(1, Buffer.concat([field(1, text('x')), field(2, text('thing')), ...fields]));

  it('with wrong ids, hosts, ports and too many of anything is refused', async () => {
    const tooMany = Array.from({ length: 101 }, (_, n) =>
      field(1, Buffer.concat([field(1, text(`x${n}`)), field(2, text('thing')), endpoint('127.0.0.1')])),
    );
    const capabilities = Array.from({ length: 65 }, (_, n) => field(7, text(`c${n}`)));
    for (const body of [
      Buffer.alloc(0),
      field(1, Buffer.concat([field(1, text('../x')), field(2, text('thing')), endpoint('127.0.0.1')])),
      field(1, Buffer.concat([field(1, text('x')), field(2, text('a/b')), endpoint('127.0.0.1')])),
      instance(),
      instance(endpoint('')),
      instance(endpoint('http://x')),
      instance(endpoint('a b')),
      instance(endpoint('127.0.0.1', 0)),
      instance(endpoint('127.0.0.1', 65_536)),
      instance(endpoint('127.0.0.1'), ...capabilities),
      Buffer.concat(tooMany),
    ])
      for (const role of [roles.gateway, roles.registry])
        expect(await call(role, REGISTER, body)).toMatchObject({ code: status.INVALID_ARGUMENT, reason: 'INVALID_FIELD' });
  });

  it('under a lease that is not there, or of a negative one, is refused', async () => {
    const body = (lease: string) => Buffer.concat([instance(endpoint('127.0.0.1')), Buffer.from(`10${lease}`, 'hex')]);
    expect(await call(roles.registry, REGISTER, body('7b'))).toMatchObject({ code: status.NOT_FOUND, reason: 'LEASE_NOT_FOUND' });
    expect(await call(roles.registry, REGISTER, body('ffffffffffffffffff01'))).toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});
