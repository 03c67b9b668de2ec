import { spawnSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { Envelope } from '../../src/gen/troupe/v1/envelope.js';
import * as instance from '../../src/gen/troupe/v1/instance.js';
import * as messaging from '../../src/gen/troupe/v1/messaging.js';
import * as task from '../../src/gen/troupe/v1/task.js';
import * as tasks from '../../src/gen/troupe/v1/tasks.js';
import { EnvelopeReader } from '../../src/link/envelope-reader.js';
import { EnvelopeWriter, type OutgoingEnvelope } from '../../src/link/envelope-writer.js';
import {
  batchBytes,
  envelopeBytes,
  frameBytes,
  programFrameBytes,
  readFrame,
  readNodeFrame,
} from '../../src/link/session-frames.js';
import type { MessageType } from '../../src/rpc/service.js';
import { toStatusMessage } from '../../src/rpc/status.js';
import { canonicalOf, GOLDEN, type Golden } from '../support/golden.js';
import { ROOT } from '../support/processes.js';

/** The generated code, by full name. */
const TYPES = { Envelope, ...instance, ...messaging, ...task, ...tasks } as unknown as Record<string, MessageType<unknown>>;

const bytesOf = (hex: string) => Buffer.from(hex, 'hex');
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const of = (type: string) => GOLDEN.filter((each) => each.type === `troupe.v1.${type}`).map((each) => [each.name, each] as const);

/** What the hand codec of links passes over, since links carry tasks and results in a form of their own. */
const NOT_ON_LINKS = ['task', 'attempt', 'result', 'progress'];
const onLinks = of('Envelope').filter(([, { json }]) => !NOT_ON_LINKS.some((field) => field in (json as object)));

it('golden bytes are what the examples and proto/ give', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/golden.mjs'], { cwd: ROOT, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

describe('the generated code', () => {
  it.each(GOLDEN.map((each) => [each.name, each] as const))('reads and writes %s', (_, golden) => {
    const type = TYPES[golden.type.replace('troupe.v1.', '')];
    if (type === undefined) throw new Error(`no ${golden.type}`);
    // Fields that it does not know are not kept.
    for (const hex of [golden.hex, golden.also ?? golden.hex]) {
      const again = hexOf(type.encode(type.decode(bytesOf(hex))).finish());
      expect(canonicalOf(golden, again)).toBe(canonicalOf(golden));
    }
  });
});

describe('the frames of programs', () => {
  it.each(of('ConnectRequest'))('%s', (_, golden) => {
    expect(hexOf(programFrameBytes(readFrame(bytesOf(golden.hex))))).toBe(canonicalOf(golden));
  });

  it.each(of('ConnectResponse'))('%s', (_, golden) => {
    const frame = readNodeFrame(bytesOf(golden.hex));
    if (frame === undefined) throw new Error('no frame');
    expect(hexOf(frameBytes(frame))).toBe(canonicalOf(golden));
    if (frame.$case === 'batch') {
      const { envelopes, sequence } = frame.value;
      expect(hexOf(batchBytes(envelopes.map(envelopeBytes), Number(sequence)))).toBe(canonicalOf(golden));
    }
  });
});

describe('the codec of links', () => {
  it.each(onLinks)('reads %s as the generated code does', (_, golden) => {
    const reader = readerOf(golden);
    const { kind: code, deadline, error, receipts, streaming, demand, payload, ...same } = Envelope.decode(bytesOf(golden.hex));
    const { correlationId, sequence, attempt: _attempt, task: _task, result: _result, progress: _progress, ...others } = same;
    expect(reader).toMatchObject({ ...others, code, correlationId: Number(correlationId), sequence: Number(sequence) });
    expect(reader.deadlineMs).toBe(deadline?.getTime() ?? 0);
    expect(reader.error()?.message).toEqual(error?.message);
    expect(reader.receipts()).toEqual(receipts);
    expect(reader.demand).toBe(streaming && demand === 0 ? 16 : demand);
    expect(reader.hasContent).toBe(payload !== undefined);
  });

  // A kind is always written, and a deadline is of milliseconds.
  it.each(onLinks.filter(([name]) => name !== 'envelope: empty'))('writes %s', (_, golden) => {
    expect(canonicalOf(golden, written(readerOf(golden)))).toBe(canonicalOf(golden));
    // The payload goes on as it came.
    if (golden.also !== undefined)
      expect([golden.hex, golden.also]).toContain(written(readerOf({ ...golden, hex: golden.also })));
  });

  it('keeps the fields of a payload that it does not know', () => {
    const payload = `12026869${'ca3e026869'}`;
    const hex = `080132${(payload.length / 2).toString(16).padStart(2, '0')}${payload}`;
    const reader = readerOf({ name: '', type: '', json: {}, hex });
    expect(hexOf(reader.content.bytes())).toBe(payload);
    expect(written(reader)).toBe(hex);
  });
});

function readerOf({ hex }: Golden): EnvelopeReader {
  const reader = new EnvelopeReader();
  const bytes = bytesOf(hex);
  reader.read(bytes, 0, bytes.length);
  return reader;
}

/** The bytes of the same envelope, as a node writes it on. */
function written(reader: EnvelopeReader): string {
  const { code: kind, correlationId, from, to, topic, deadlineMs, sequence } = reader;
  const { id, hops, headers, demand, waitForRoom, atLeastOnce, fromNode, visitedNodes } = reader;
  const error = reader.error();
  const receipts = reader.receipts();
  const out: OutgoingEnvelope = {
    ...{ kind, correlationId, from, to, topic, deadlineMs, sequence },
    content: reader.hasContent ? reader.content : undefined,
    rare: {
      ...{ id, hops, headers, demand, waitForRoom, atLeastOnce, fromNode, visitedNodes },
      ...(error === undefined ? {} : { error: toStatusMessage(error) }),
      ...(receipts === undefined ? {} : { receipts }),
    },
  };
  let buffer = Buffer.alloc(16);
  const target = {
    length: 0,
    room: (bytes: number) => {
      buffer = Buffer.concat([buffer, Buffer.alloc(bytes)]);
      return buffer;
    },
  };
  new EnvelopeWriter().write(target, 0x3a, out);
  // The tag of the frame's field and the length go first.
  const start = (buffer[1] as number) < 0x80 ? 2 : 3;
  return hexOf(buffer.subarray(start, target.length));
}
