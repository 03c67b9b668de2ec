import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { InstanceKey } from '../../../src/gen/troupe/v1/registry.js';
import type { Call } from '../../../src/rpc/call.js';
import { createClient } from '../../../src/rpc/client.js';
import { fromServiceError } from '../../../src/rpc/status.js';
import { eventually } from '../../support/eventually.js';
import {
  BIDI,
  callUnary,
  EchoDefinition,
  type EchoHandlers,
  type EchoServer,
  encodeKey,
  identity,
  SERVER_STREAM,
  startEcho,
  UNARY,
} from './echo-server.js';

let echo: EchoServer;

afterEach(() => echo.close());

async function start(handlers: Partial<EchoHandlers> = {}): Promise<EchoServer> {
  echo = await startEcho(handlers);
  return echo;
}

/** The error that a call ends with, as our clients see it. */
async function failure(call: Promise<unknown>): Promise<TroupeError> {
  return call.then(
    () => {
      throw new Error('the call did not fail');
    },
    (error: unknown) => fromServiceError(error),
  );
}

async function collect(stream: AsyncIterable<InstanceKey>): Promise<string[]> {
  const got: string[] = [];
  for await (const { service } of stream) got.push(service);
  return got;
}

/** Resolves when `call` resolves, fails rather than hangs. */
function soon<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer within 3 s')), 3_000);
  });
  return Promise.race([call, late]).finally(() => clearTimeout(timer));
}

describe('a unary handler', () => {
  it('answers with a message, or with the bytes of one', async () => {
    await start({ unary: ({ service, id }) => (id === 'bytes' ? encodeKey('as bytes') : { service: `${service}!`, id }) });
    const client = createClient(EchoDefinition, echo.channel);
    expect(await client.unary({ service: 'a' })).toEqual({ service: 'a!', id: '' });
    expect(await client.unary({ service: 'a', id: 'bytes' })).toEqual({ service: 'as bytes', id: '' });
  });

  it('answers a TroupeError with its code, reason and details', async () => {
    await start({
      unary: () => {
        throw new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'full', {
          metadata: { started: 'false' },
          retryAfterMs: 100,
        });
      },
    });
    expect(await failure(callUnary(echo.client, encodeKey('a')))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'MAILBOX_FULL',
      message: 'full',
      metadata: { started: 'false' },
      retryAfterMs: 100,
    });
    expect(echo.logger.lines).toEqual([]);
  });

  it('answers whatever else is thrown with an opaque INTERNAL, and logs it once', async () => {
    await start({ unary: () => Promise.reject(new Error('the password is 1234')) });
    const error = await failure(callUnary(echo.client, encodeKey('a')));
    expect(error).toMatchObject({ code: 'INTERNAL', reason: 'INTERNAL' });
    expect(JSON.stringify(error) + error.message).not.toContain('1234');
    expect(echo.logger.at('error')).toEqual(['a handler failed']);
  });

  it('answers a response that cannot be encoded with an opaque INTERNAL', async () => {
    await start({ unary: () => undefined as unknown as InstanceKey });
    expect(await failure(soon(callUnary(echo.client, encodeKey('a'))))).toMatchObject({ code: 'INTERNAL' });
    expect(echo.logger.at('error')).toEqual(['a handler failed']);
  });

  it('answers malformed bytes with INVALID_ARGUMENT', async () => {
    await start();
    for (const bytes of [Buffer.from([0x0a, 0xff]), Buffer.from([0x0a]), Buffer.from([0x07]), Buffer.alloc(64, 0xff)]) {
      expect(await failure(callUnary(echo.client, bytes))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'MALFORMED_MESSAGE',
      });
    }
    expect(echo.logger.lines).toEqual([]);
  });

  it('answers a string that is not UTF-8 with INVALID_ARGUMENT', async () => {
    await start();
    const bytes = Buffer.from(
      new BinaryWriter()
        .uint32(0x0a)
        .bytes(Buffer.from([0xc3, 0x28]))
        .finish(),
    );
    expect(await failure(callUnary(echo.client, bytes))).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'MALFORMED_MESSAGE' });
  });

  it('answers groups nested a million times with INVALID_ARGUMENT', async () => {
    await start();
    expect(await failure(callUnary(echo.client, Buffer.alloc(1_000_000, 0x1b)))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('refuses more than 4 MiB with RESOURCE_EXHAUSTED', async () => {
    await start();
    const { Client, credentials } = await import('@grpc/grpc-js');
    const unlimited = new Client(echo.address, credentials.createInsecure(), { 'grpc.max_send_message_length': -1 });
    try {
      const bytes = encodeKey('x'.repeat(5 * 1024 * 1024));
      expect(await failure(callUnary(unlimited, bytes))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
      expect(await callUnary(echo.client, encodeKey('alive'))).toEqual(encodeKey('alive'));
    } finally {
      unlimited.close();
    }
  });

  it('sees the deadline and the headers of the call', async () => {
    let seen: Call | undefined;
    await start({
      unary: (request, call) => {
        seen = call;
        return request;
      },
    });
    const deadlineMs = Date.now() + 20_000;
    const { Metadata } = await import('@grpc/grpc-js');
    const metadata = new Metadata();
    metadata.set('traceparent', 'abc');
    await callUnary(echo.client, encodeKey('a'), { metadata, deadline: deadlineMs });
    expect(Math.abs((seen?.deadlineMs ?? 0) - deadlineMs)).toBeLessThan(2_000);
    expect(seen?.header('traceparent')).toBe('abc');
    expect(seen?.header('other')).toBeUndefined();
    await callUnary(echo.client, encodeKey('a'));
    expect(seen?.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('learns from its signal that the caller cancelled', async () => {
    let signal: AbortSignal | undefined;
    await start({
      unary: (_request, call) =>
        new Promise((_resolve, reject) => {
          signal = call.signal;
          signal.addEventListener('abort', () => reject(new Error('called off')));
        }),
    });
    const call = echo.client.makeUnaryRequest(UNARY, identity, identity, encodeKey('a'), () => undefined);
    await eventually(() => expect(signal).toBeDefined());
    call.cancel();
    await eventually(() => expect(signal?.reason).toMatchObject({ code: 'CANCELLED' }));
    expect(echo.logger.lines).toEqual([]);
  });

  it('learns from its signal that the deadline passed', async () => {
    let reason: unknown;
    await start({
      unary: (_request, call) =>
        new Promise((_resolve, reject) => {
          call.signal.addEventListener('abort', () => {
            reason = call.signal.reason;
            reject(new Error('called off'));
          });
        }),
    });
    expect(await failure(callUnary(echo.client, encodeKey('a'), { deadline: Date.now() + 50 }))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await eventually(() => expect(reason).toBeInstanceOf(TroupeError));
    expect(['CANCELLED', 'DEADLINE_EXCEEDED']).toContain((reason as TroupeError).code);
  });
});

describe('a server-streaming handler', () => {
  it('answers with what it yields, in order', async () => {
    await start({
      async *serverStream({ service }) {
        for (let i = 0; i < 100; i++) yield { service: `${service}${i}`, id: '' };
      },
    });
    const got = await collect(createClient(EchoDefinition, echo.channel).serverStream({ service: 'n' }));
    expect(got).toEqual(Array.from({ length: 100 }, (_, i) => `n${i}`));
  });

  it('delivers what it yielded before an error, then the error', async () => {
    await start({
      async *serverStream() {
        yield { service: 'first', id: '' };
        throw new TroupeError('NOT_FOUND', 'GONE', 'it is gone', { metadata: { a: 'b' } });
      },
    });
    const got: string[] = [];
    const call = async () => {
      for await (const { service } of createClient(EchoDefinition, echo.channel).serverStream({})) got.push(service);
    };
    expect(await failure(soon(call()))).toMatchObject({ code: 'NOT_FOUND', reason: 'GONE', metadata: { a: 'b' } });
    expect(got).toEqual(['first']);
  });

  it('answers what it throws before it gives an iterable', async () => {
    await start({
      serverStream: () => {
        throw new TroupeError('FAILED_PRECONDITION', 'NOT_NOW', 'not now');
      },
    });
    const call = collect(createClient(EchoDefinition, echo.channel).serverStream({}));
    expect(await failure(soon(call))).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'NOT_NOW' });
  });

  it('answers whatever else is thrown with an opaque INTERNAL, and logs it once', async () => {
    await start({
      // biome-ignore lint/correctness/useYield: it fails before.
      async *serverStream() {
        throw new Error('secret');
      },
    });
    const error = await failure(collect(createClient(EchoDefinition, echo.channel).serverStream({})));
    expect(error).toMatchObject({ code: 'INTERNAL' });
    expect(error.message).not.toContain('secret');
    expect(echo.logger.at('error')).toEqual(['a handler failed']);
  });

  it('is ended, with its finally block, when the reader leaves', async () => {
    let ended = false;
    await start({
      async *serverStream(_request, call) {
        try {
          for (let i = 0; ; i++) {
            yield { service: String(i), id: '' };
            if (i === 1) await new Promise<void>((resolve) => call.onCancel(() => resolve()));
          }
        } finally {
          ended = true;
        }
      },
    });
    for await (const { service } of createClient(EchoDefinition, echo.channel).serverStream({})) if (service === '1') break;
    await eventually(() => expect(ended).toBe(true));
    expect(echo.logger.lines).toEqual([]);
  });

  it('waits while the reader does not read', async () => {
    let made = 0;
    let ended = false;
    const content = 'x'.repeat(64 * 1024);
    await start({
      async *serverStream() {
        try {
          for (;;) {
            made += 1;
            yield { service: content, id: '' };
          }
        } finally {
          ended = true;
        }
      },
    });
    const call = echo.client.makeServerStreamRequest(SERVER_STREAM, identity, identity, encodeKey('a'));
    call.on('error', () => undefined);
    // It reads one, and then no more.
    await call[Symbol.asyncIterator]().next();
    let before = -1;
    await eventually(() => {
      const now = made;
      const stands = now === before && now > 0;
      before = now;
      expect(stands).toBe(true);
    });
    expect(made * content.length).toBeLessThan(16 * 1024 * 1024);
    call.cancel();
    await eventually(() => expect(ended).toBe(true));
  });

  it('holds nothing of what has been sent', async () => {
    const sent: WeakRef<object>[] = [];
    let goOn: () => void = () => undefined;
    const paused = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    await start({
      async *serverStream() {
        for (let i = 0; i < 200; i++) {
          const message = { service: String(i), id: '' };
          sent.push(new WeakRef(message));
          yield message;
        }
        await paused;
      },
    });
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const client = createClient(EchoDefinition, echo.channel);
    let received = 0;
    const reading = (async () => {
      for await (const _ of client.serverStream({})) received += 1;
    })();
    await eventually(() => expect(received).toBe(200));
    await eventually(() => {
      gc();
      expect(sent.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(5);
    });
    goOn();
    await reading;
  });
});

describe('a bidirectional handler', () => {
  it('answers while requests come, and after their end', async () => {
    await start({
      async *bidi(requests) {
        let count = 0;
        for await (const request of requests) {
          count += 1;
          yield request;
        }
        yield { service: `${count} in all`, id: '' };
      },
    });
    async function* requests() {
      yield { service: 'a' };
      yield { service: 'b' };
    }
    expect(await soon(collect(createClient(EchoDefinition, echo.channel).bidi(requests())))).toEqual(['a', 'b', '2 in all']);
  });

  it('may end before the requests do', async () => {
    await start({
      async *bidi(requests) {
        for await (const request of requests) {
          yield request;
          return;
        }
      },
    });
    const call = echo.client.makeBidiStreamRequest(BIDI, identity, identity);
    const got: string[] = [];
    call.on('data', (bytes: Buffer) => got.push(InstanceKey.decode(bytes).service));
    const ended = new Promise<number>((resolve) => call.on('status', ({ code }: { code: number }) => resolve(code)));
    call.on('error', () => undefined);
    call.write(encodeKey('a'));
    expect(await soon(ended)).toBe(status.OK);
    expect(got).toEqual(['a']);
  });

  it('answers what it throws amid the requests, with its details', async () => {
    await start({
      async *bidi(requests) {
        for await (const request of requests) {
          yield request;
          throw new TroupeError('NOT_FOUND', 'LEASE_NOT_FOUND', 'gone', { metadata: { a: 'b' } });
        }
      },
    });
    let end: () => void = () => undefined;
    async function* requests() {
      yield { service: 'a' };
      await new Promise<void>((resolve) => {
        end = resolve;
      });
    }
    const got: string[] = [];
    const call = async () => {
      for await (const { service } of createClient(EchoDefinition, echo.channel).bidi(requests())) got.push(service);
    };
    expect(await failure(soon(call()))).toMatchObject({ code: 'NOT_FOUND', reason: 'LEASE_NOT_FOUND', metadata: { a: 'b' } });
    expect(got).toEqual(['a']);
    end();
  });

  it('answers a malformed request with INVALID_ARGUMENT', async () => {
    await start();
    const call = echo.client.makeBidiStreamRequest(BIDI, identity, identity);
    call.on('data', () => undefined);
    const failed = new Promise<unknown>((resolve) => call.on('error', resolve));
    call.write(encodeKey('good'));
    call.write(Buffer.from([0x0a, 0xff]));
    expect(fromServiceError(await soon(failed))).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'MALFORMED_MESSAGE' });
  });

  it('is ended, with its finally block, when the caller goes away while it waits for a request', async () => {
    let began = false;
    let ended = false;
    await start({
      async *bidi(requests) {
        try {
          for await (const request of requests) {
            began = true;
            yield request;
          }
        } finally {
          ended = true;
        }
      },
    });
    const call = echo.client.makeBidiStreamRequest(BIDI, identity, identity);
    call.on('error', () => undefined);
    call.on('data', () => undefined);
    call.write(encodeKey('a'));
    await eventually(() => expect(began).toBe(true));
    call.cancel();
    await eventually(() => expect(ended).toBe(true));
    expect(echo.logger.lines).toEqual([]);
  });
});
