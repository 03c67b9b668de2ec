import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TroupeError } from '../../../../src/core/errors.js';
import { descriptorSetBase64 } from '../../../../src/gen/descriptors.js';
import { ServerReflectionDefinition } from '../../../../src/gen/grpc/reflection/v1/reflection.js';
import { GetStatusResponse, type UndeployAgentRequest } from '../../../../src/gen/troupe/v1/node.js';
import { type Task, TaskState } from '../../../../src/gen/troupe/v1/task.js';
import { RpcServer } from '../../../../src/rpc/server.js';
import { silentLogger } from '../../../../src/telemetry/logger.js';
import { CapturedIo } from '../captured-io.js';
import { type FakeHandlers, fakeCluster, troupe } from '../fake-cluster.js';
import { agentStatus, node } from '../messages.js';

const asked: { task?: Task | undefined; undeploy?: UndeployAgentRequest } = {};
const handlers: FakeHandlers = {
  tasks: {
    run: ({ task }) => {
      asked.task = task;
      return {
        result: {
          taskId: 'task-1',
          agentId: 'data-1',
          nodeId: 'node-1',
          payload: task?.payload,
          attempt: 1,
          duration: { seconds: 1n, nanos: 500_000_000 },
          state: TaskState.TASK_STATE_COMPLETED,
          fallbackCapability: '',
          defaultAnswer: false,
        },
      };
    },
    runStream: async function* runStream() {
      yield { event: { taskId: 'task-1', cursor: 1n, time: new Date(0), event: { $case: 'accepted', value: {} } } };
      yield {
        event: { taskId: 'task-1', cursor: 2n, time: undefined, event: { $case: 'progress', value: { fraction: 1, note: '' } } },
      };
    },
  },
  node: {
    undeployAgent: (request) => {
      asked.undeploy = request;
      return { agent: agentStatus(request.agentId, 'node-1') };
    },
    getStatus: ({ nodeId }) => {
      if (nodeId === 'gone') throw new TroupeError('NOT_FOUND', 'UNKNOWN_NODE', 'no node "gone"');
      return GetStatusResponse.fromPartial({ node: { ...node('node-1'), metadata: new Map([['a', 'b']]) }, draining: false });
    },
  },
  registry: {
    watch: async function* watch(_request, { signal }) {
      yield { event: { $case: 'progress', value: { revision: 1n, age: undefined } } };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  },
};

const call = async (args: readonly string[], io = new CapturedIo(), fake = handlers) =>
  await troupe(await fakeCluster(fake), ['call', ...args], io);

describe('troupe call, listing', () => {
  test('without a method lists every method', async () => {
    const { code, io } = await call([]);
    expect(code).toBe(0);
    expect(io.lines[0]).toMatch(/^METHOD +REQUEST +RESPONSE$/);
    expect(io.out).toMatch(/^troupe\.v1\.Tasks\/RunStream +RunStreamRequest +stream RunStreamResponse$/m);
    expect(io.out).toMatch(/^troupe\.v1\.Registry\/KeepAlive +stream KeepAliveRequest +stream KeepAliveResponse$/m);
    expect(io.out).toMatch(/^grpc\.health\.v1\.Health\/Check +HealthCheckRequest +HealthCheckResponse$/m);
  });

  test('with a service lists its methods', async () => {
    const { io } = await call(['Tasks', '-o', 'json']);
    expect(JSON.parse(io.out)).toEqual([
      { method: 'troupe.v1.Tasks/Run', request: 'RunRequest', response: 'RunResponse' },
      { method: 'troupe.v1.Tasks/RunStream', request: 'RunStreamRequest', response: 'stream RunStreamResponse' },
    ]);
  });
});

describe('troupe call, unary', () => {
  test.each(['Tasks/Run', 'troupe.v1.Tasks/Run', '/troupe.v1.Tasks/Run'])('calls %s', async (method) => {
    const { code, io } = await call([
      method,
      '--json',
      '{"task": {"required_capabilities": ["a"], "payload": {"json": {"path": "x"}}}}',
    ]);
    expect(io.err).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(io.out)).toEqual({
      result: {
        taskId: 'task-1',
        agentId: 'data-1',
        nodeId: 'node-1',
        payload: { json: { path: 'x' } },
        attempt: 1,
        duration: '1.500s',
        state: 'TASK_STATE_COMPLETED',
      },
    });
    expect(asked.task?.requiredCapabilities).toEqual(['a']);
  });

  test('takes both spellings of fields, and the JSON forms of the well-known types', async () => {
    const task = {
      requiredCapabilities: ['a'],
      agent_id: 'data-1',
      deadline: '2026-01-01T00:00:00Z',
      strategy: 'STRATEGY_RANDOM',
      labels: { x: '1' },
      payload: { json: [1, 'x', null, true, { deep: [] }], content_type: 'application/json' },
    };
    await call(['Tasks/Run', '--json', JSON.stringify({ task })]);
    expect(asked.task).toMatchObject({
      requiredCapabilities: ['a'],
      agentId: 'data-1',
      deadline: new Date('2026-01-01T00:00:00Z'),
      strategy: 2,
      labels: new Map([['x', '1']]),
      payload: { content: { $case: 'json', value: [1, 'x', null, true, { deep: [] }] }, contentType: 'application/json' },
    });
    await call(['Node/UndeployAgent', '--json', '{"agentId": "data-1", "grace": "1.5s"}']);
    expect(asked.undeploy).toEqual({ agentId: 'data-1', grace: { seconds: 1n, nanos: 500_000_000 } });
  });

  test('sends an empty request where none is given, and reads one from standard input', async () => {
    const { io } = await call(['Node/GetStatus']);
    expect(JSON.parse(io.out)).toMatchObject({
      node: { id: 'node-1', incarnation: '7', registeredAt: '2026-01-01T11:57:00Z', metadata: { a: 'b' } },
    });
    const { code } = await call(['Node/GetStatus', '--json', '-'], new CapturedIo({ stdin: '{"node_id": "gone"}' }));
    expect(code).toBe(4);
  });

  test('indents on a terminal', async () => {
    const { io } = await call(['Health/Check'], new CapturedIo({ isTTY: true }));
    expect(io.out).toBe('{\n  "status": "SERVING"\n}\n');
  });
});

describe('troupe call, streaming', () => {
  test('prints each message on a line', async () => {
    const { io } = await call(['Tasks/RunStream', '--json', '{"task": {"agent_id": "data-1"}}']);
    expect(io.lines.map((line) => JSON.parse(line))).toEqual([
      { event: { taskId: 'task-1', cursor: '1', time: '1970-01-01T00:00:00Z', accepted: {} } },
      { event: { taskId: 'task-1', cursor: '2', progress: { fraction: 1 } } },
    ]);
  });

  test('ends with 130 on Ctrl-C', async () => {
    const io = new CapturedIo();
    const stdout = (text: string | Uint8Array) => {
      io.stdout(text);
      io.controller.abort();
    };
    const { code } = await call(['Registry/Watch'], Object.assign(Object.create(io), { stdout }) as CapturedIo);
    expect(code).toBe(130);
    expect(io.lines).toEqual(['{"progress":{"revision":"1"}}']);
  });

  test('ends with the time that is given', async () => {
    const { code, io } = await call(['Registry/Watch', '--timeout', '100ms']);
    expect(code).toBe(4);
    expect(io.err).toMatch(/^error: Deadline exceeded after [\d.]+s \(DEADLINE_EXCEEDED\)\n$/);
  });
});

describe('troupe call, errors', () => {
  test.each<[readonly string[], number, string]>([
    [['Foo/Bar'], 4, 'error: no service "Foo" here; there are: grpc.health.v1.Health, grpc.reflection.v1.ServerReflection, '],
    [['Foo'], 4, 'error: no service "Foo" here; there are: '],
    [['Tasks/Foo'], 4, 'error: no method "Foo" in troupe.v1.Tasks; there are: Run, RunStream (NOT_FOUND NO_METHOD)\n'],
    [
      ['ServerReflection'],
      4,
      'error: "ServerReflection" can be grpc.reflection.v1.ServerReflection or grpc.reflection.v1alpha.ServerReflection; give the full name',
    ],
    [
      ['Tasks/Run', '--json', '{"foo": 1}'],
      2,
      'error: --json: cannot decode message troupe.v1.RunRequest from JSON: key "foo" is unknown\n',
    ],
    [['Tasks/Run', '--json', '[]'], 2, 'error: --json: cannot decode message troupe.v1.RunRequest from JSON'],
    [
      ['Registry/KeepAlive'],
      2,
      'error: troupe.v1.Registry/KeepAlive takes a stream of requests, which this command does not send; grpcurl does\n',
    ],
    [['Node/GetStatus', '--json', '{"node_id": "gone"}'], 4, 'error: no node "gone" (NOT_FOUND UNKNOWN_NODE)\n'],
  ])('%j', async (args, code, message) => {
    const result = await call(args);
    expect(result.io.err.slice(0, message.length)).toBe(message);
    expect(result.io.out).toBe('');
    expect(result.code).toBe(code);
  });
});

describe('troupe call where the server has no reflection', () => {
  let directory: string;
  let descriptorSet: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'troupe-cli-'));
    descriptorSet = join(directory, 'troupe.binpb');
    await writeFile(descriptorSet, Buffer.from(descriptorSetBase64, 'base64'));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true });
  });
  const unreflected = { ...handlers, reflection: false };

  test('says so', async () => {
    const { code, io } = await call(['Tasks/Run'], undefined, unreflected);
    expect(code).toBe(4);
    expect(io.err).toContain('UNIMPLEMENTED');
  });

  test('takes the types from a file', async () => {
    const args = ['--descriptor-set', descriptorSet, '--json', '{"task": {"payload": {"text": "x"}}}'];
    const { code, io } = await call(['Tasks/Run', ...args], undefined, unreflected);
    expect(code).toBe(0);
    expect(JSON.parse(io.out)).toMatchObject({ result: { payload: { text: 'x' } } });
    const listed = await call(['Tasks', '--descriptor-set', descriptorSet], undefined, unreflected);
    expect(listed.io.lines).toHaveLength(3);
    const unknown = await call(['Foo/Bar', '--descriptor-set', descriptorSet], undefined, unreflected);
    expect(unknown.io.err).toContain('no service "Foo" here');
  });

  test('refuses a file that holds something else', async () => {
    const other = join(directory, 'other');
    await writeFile(other, 'hello');
    const { code, io } = await call(['Tasks', '--descriptor-set', other], undefined, unreflected);
    expect(code).toBe(1);
    expect(io.err).toContain('is no descriptor set with imports (`buf build -o` writes one)');
  });
});

test('troupe call asks a server that gives one file at a time for the imports', async () => {
  const { fromBinary, toBinary } = await import('@bufbuild/protobuf');
  const { FileDescriptorProtoSchema, FileDescriptorSetSchema } = await import('@bufbuild/protobuf/wkt');
  const { file: files } = fromBinary(FileDescriptorSetSchema, Buffer.from(descriptorSetBase64, 'base64'));
  const server = new RpcServer({ logger: silentLogger });
  server.mount(ServerReflectionDefinition, {
    serverReflectionInfo: async function* answer(requests) {
      for await (const request of requests) {
        const question = request.messageRequest;
        const name = question?.$case === 'fileByFilename' ? question.value : 'troupe/v1/node.proto';
        const file = files.find((each) => each.name === name);
        yield {
          validHost: '',
          originalRequest: request,
          messageResponse:
            question?.$case === 'listServices' || file === undefined
              ? { $case: 'listServicesResponse', value: { service: [{ name: 'troupe.v1.Node' }] } }
              : {
                  $case: 'fileDescriptorResponse',
                  value: { fileDescriptorProto: [Buffer.from(toBinary(FileDescriptorProtoSchema, file))] },
                },
        };
      }
    },
  });
  const port = await server.listen('127.0.0.1', 0);
  try {
    const { code, io } = await troupe(`127.0.0.1:${port}`, ['call', 'Node']);
    expect(io.err).toBe('');
    expect(code).toBe(0);
    expect(io.out).toContain('troupe.v1.Node/StreamTask');
  } finally {
    await server.shutdown(0);
  }
});
