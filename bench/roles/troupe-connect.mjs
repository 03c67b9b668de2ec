// Tasks over one Messaging.Connect stream, as a client of any make would run them: generated code, envelopes of one turn in one batch. The
// stream ends at a node that routes them; the agent is at another.
import grpc from '@grpc/grpc-js';
import { defineAgent, startNode } from 'troupe';
import { EnvelopeKind } from '../../dist/src/gen/troupe/v1/envelope.js';
import { ConnectRequest, ConnectResponse } from '../../dist/src/gen/troupe/v1/messaging.js';
import { lengthError } from '../lib/batched-frames.mjs';
import { serveParts } from '../lib/parts.mjs';

const identity = (bytes) => bytes;
const CREDIT = 1_000_000;
/** What has come is acknowledged after so much: more than 8 MiB that are not are not sent. */
const ACKNOWLEDGE_BYTES = 1024 * 1024;

const echo = defineAgent({
  kind: 'connect-echo',
  capabilities: ['connect-echo'],
  concurrency: 1_024,
  mailboxCapacity: 10_000,
  run: (task) => task.payload.data,
});

/** A stream to a node: `run(payload, done)` runs a task on it. */
async function attach(address) {
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  const stream = client.makeBidiStreamRequest('/troupe.v1.Messaging/Connect', identity, identity, new grpc.Metadata());
  const write = (frame) => stream.write(Buffer.from(ConnectRequest.encode(ConnectRequest.fromPartial({ frame })).finish()));
  const pending = new Map();
  let envelopes = [];
  let lastId = 0n;
  let unacknowledged = 0;
  let unacknowledgedBytes = 0;
  const flush = () => {
    write({ $case: 'batch', value: { envelopes, sequence: 0n } });
    envelopes = [];
  };
  const welcomed = new Promise((resolve, reject) => {
    stream.on('error', reject);
    stream.on('data', (bytes) => {
      const { frame } = ConnectResponse.decode(bytes);
      if (frame?.$case === 'welcome') resolve();
      else if (frame?.$case === 'batch') {
        for (const { correlationId, kind, result, error } of frame.value.envelopes) {
          const done = pending.get(correlationId);
          pending.delete(correlationId);
          done?.(kind === EnvelopeKind.ENVELOPE_KIND_RESULT ? undefined : new Error(error?.message), result);
        }
        unacknowledged += frame.value.envelopes.length;
        unacknowledgedBytes += bytes.length;
        if (unacknowledged < 1_000 && unacknowledgedBytes < ACKNOWLEDGE_BYTES) return;
        unacknowledgedBytes = 0;
        write({ $case: 'credit', value: { envelopes: unacknowledged, received: frame.value.sequence } });
        unacknowledged = 0;
      }
    });
  });
  write({ $case: 'hello', value: { credit: CREDIT } });
  await welcomed;
  const run = (payload, done) => {
    lastId += 1n;
    pending.set(lastId, (error, result) => done(error ?? lengthError(payload.length, result.payload.content.value.length)));
    const task = { requiredCapabilities: ['connect-echo'], payload: { content: { $case: 'data', value: payload } } };
    if (envelopes.length === 0) process.nextTick(flush);
    envelopes.push({ kind: EnvelopeKind.ENVELOPE_KIND_TASK, correlationId: lastId, task });
  };
  return { run, stop: () => client.close() };
}

serveParts({
  server: async ({ registry }) => {
    const node = await startNode({
      id: 'bench-connect-echo',
      registry: [registry],
      agents: [echo],
      deploy: [{ id: 'connect-echo-1', kind: 'connect-echo' }],
    });
    return { stop: () => node.stop() };
  },
  client: async ({ router }) => {
    const { run, stop } = await attach(router);
    // A router learns of an agent a moment after it was deployed.
    for (let tries = 0; tries < 100; tries++) {
      const error = await new Promise((resolve) => run(Buffer.alloc(1), resolve));
      if (error === undefined) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return { send: run, stop };
  },
});
