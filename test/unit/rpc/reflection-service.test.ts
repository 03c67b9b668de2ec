import { fromBinary } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionDefinition as V1,
} from '../../../src/gen/grpc/reflection/v1/reflection.js';
import { ServerReflectionDefinition as V1Alpha } from '../../../src/gen/grpc/reflection/v1alpha/reflection.js';
import { createClient } from '../../../src/rpc/client.js';
import { mountReflection } from '../../../src/rpc/reflection-service.js';
import { type EchoServer, startEcho } from './echo-server.js';

let echo: EchoServer;

beforeAll(async () => {
  echo = await startEcho({}, mountReflection);
});
afterAll(() => echo.close());

type Asked = NonNullable<ServerReflectionRequest['messageRequest']>;

describe.each([
  ['v1', V1],
  ['v1alpha', V1Alpha],
] as const)('reflection %s', (_version, definition) => {
  async function ask(...asked: (Asked | undefined)[]): Promise<ServerReflectionResponse['messageResponse'][]> {
    async function* requests() {
      for (const messageRequest of asked) yield { host: 'h', messageRequest };
    }
    const answers: ServerReflectionResponse['messageResponse'][] = [];
    for await (const { messageResponse, validHost } of createClient(definition, echo.channel).serverReflectionInfo(requests())) {
      expect(validHost).toBe('h');
      answers.push(messageResponse);
    }
    return answers;
  }

  async function files(asked: Asked): Promise<FileDescriptorProto[]> {
    const [answer] = await ask(asked);
    if (answer?.$case !== 'fileDescriptorResponse') throw new Error(`no files but ${answer?.$case}`);
    return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  }

  it('lists the mounted services', async () => {
    const [answer] = await ask({ $case: 'listServices', value: '' });
    expect(answer).toEqual({
      $case: 'listServicesResponse',
      value: {
        service: [
          { name: 'grpc.reflection.v1.ServerReflection' },
          { name: 'grpc.reflection.v1alpha.ServerReflection' },
          { name: 'test.Echo' },
        ],
      },
    });
  });

  it('gives a file by name and all that it imports, each once', async () => {
    const given = await files({ $case: 'fileByFilename', value: 'troupe/v1/registry.proto' });
    const names = given.map(({ name }) => name);
    expect(names[0]).toBe('troupe/v1/registry.proto');
    expect([...names].sort()).toEqual([
      'google/protobuf/duration.proto',
      'google/protobuf/timestamp.proto',
      'troupe/v1/health.proto',
      'troupe/v1/instance.proto',
      'troupe/v1/registry.proto',
      'troupe/v1/strategy.proto',
    ]);
    for (const { dependency } of given) for (const imported of dependency) expect(names).toContain(imported);
  });

  it.each([
    ['a service', 'troupe.v1.Registry', 'troupe/v1/registry.proto'],
    ['a method', 'troupe.v1.Registry.Watch', 'troupe/v1/registry.proto'],
    ['a message', 'troupe.v1.Task', 'troupe/v1/task.proto'],
    ['a nested message', 'troupe.v1.Task.LabelsEntry', 'troupe/v1/task.proto'],
    ['a field', 'troupe.v1.Task.labels', 'troupe/v1/task.proto'],
    ['a oneof', 'troupe.v1.TaskEvent.event', 'troupe/v1/task.proto'],
    ['an enum', 'troupe.v1.InstanceStatus', 'troupe/v1/instance.proto'],
    ['a value of an enum', 'troupe.v1.INSTANCE_STATUS_UP', 'troupe/v1/instance.proto'],
    ['a nested enum', 'grpc.health.v1.HealthCheckResponse.ServingStatus', 'grpc/health/v1/health.proto'],
    ['a value of a nested enum', 'grpc.health.v1.HealthCheckResponse.SERVING', 'grpc/health/v1/health.proto'],
    ['a well-known type', 'google.protobuf.Value', 'google/protobuf/struct.proto'],
  ])('finds %s', async (_what, symbol, file) => {
    expect((await files({ $case: 'fileContainingSymbol', value: symbol }))[0]?.name).toBe(file);
  });

  it('keeps the comments', async () => {
    const [file] = await files({ $case: 'fileByFilename', value: 'troupe/v1/registry.proto' });
    expect(JSON.stringify(file?.sourceCodeInfo?.location.map(({ leadingComments }) => leadingComments))).toContain(
      'Knows who is in the cluster',
    );
  });

  it('answers several questions on one stream, also ones without an answer', async () => {
    const answers = await ask(
      { $case: 'fileByFilename', value: 'none.proto' },
      { $case: 'fileContainingSymbol', value: 'troupe.v1.None' },
      { $case: 'fileContainingExtension', value: { containingType: 'troupe.v1.Task', extensionNumber: 1 } },
      { $case: 'allExtensionNumbersOfType', value: 'troupe.v1.None' },
      { $case: 'allExtensionNumbersOfType', value: 'troupe.v1.Task' },
      undefined,
    );
    expect(answers.map((answer) => (answer?.$case === 'errorResponse' ? answer.value.errorCode : answer?.$case))).toEqual([
      5,
      5,
      5,
      5,
      'allExtensionNumbersResponse',
      3,
    ]);
  });
});
