import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { systemRandom } from '../../../src/core/random.js';
import { OpenResponse } from '../../../src/gen/troupe/internal/v1/link.js';
import { EnvelopeKind } from '../../../src/gen/troupe/v1/envelope.js';
import { FramePool } from '../../../src/link/frame-pool.js';
import type { LinkStream } from '../../../src/link/link-session.js';
import { LinkTraffic } from '../../../src/link/link-traffic.js';
import { Peer } from '../../../src/link/peer.js';
import { encodeMessage } from '../../../src/rpc/encode.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { FakeClock, settle } from '../../support/fake-clock.js';

const WELCOME = encodeMessage(OpenResponse, {
  ...{ envelopes: [], tasks: [], outcomes: [], credit: 0 },
  control: { $case: 'welcome', value: { nodeId: 'other', life: 'life', credit: 0 } },
});

const answer = (correlationId: number) => ({
  ...{ kind: EnvelopeKind.ENVELOPE_KIND_RESPONSE, correlationId, from: 'a', to: 'b', topic: '', deadlineMs: 0, sequence: 0 },
  ...{ content: { kind: 'data', data: Buffer.alloc(1024 * 1024), contentType: '' } as const, rare: undefined },
});

/** A link to a process that takes nothing. */
async function stuck() {
  const happened: string[] = [];
  const clock = new FakeClock();
  const stream = Object.assign(new EventEmitter(), {
    write: (_: Buffer, done: () => void) => void setImmediate(done),
    end: () => undefined,
    cancel: () => void happened.push('cut'),
  });
  const nothing = () => undefined;
  const peer = new Peer('other', {
    ...{ nodeId: 'own', life: 'life', clock, random: systemRandom, logger: silentLogger },
    handlers: {
      ...{ envelope: nothing, task: nothing, outcome: nothing },
      broken: (_, { code, reason }) => happened.push(`broken ${code}/${reason}`),
      unsent: (_, { code, reason, metadata }) => happened.push(`unsent ${code}/${reason} ${metadata.started}`),
    },
    traffic: new LinkTraffic(),
    pool: new FramePool(),
    nextAttempt: () => 1n,
    dial: () => stream as unknown as LinkStream,
  });
  peer.answer(answer(1));
  await settle();
  stream.emit('data', WELCOME);
  await settle();
  return { peer, happened, clock };
}

describe('a process that does not take its answers', () => {
  it('loses its link, and so learns that it will not get them', async () => {
    const { peer, happened, clock } = await stuck();
    for (let id = 2; id <= 12; id++) peer.answer(answer(id));
    await clock.advance(1_000);
    expect([peer.isUp, happened]).toEqual([true, []]);
    peer.answer(answer(13));
    expect(happened).toEqual(['cut', 'broken RESOURCE_EXHAUSTED/LINK_FULL', 'unsent UNAVAILABLE/LINK_FULL false']);
    expect([peer.isUp, peer.queuedBytes]).toEqual([false, 0]);
  });

  it('keeps it in a burst, as long as it has not been still for a while', async () => {
    const { peer, happened } = await stuck();
    for (let id = 2; id <= 40; id++) peer.answer(answer(id));
    expect([peer.isUp, happened]).toEqual([true, []]);
  });

  it('keeps it where it is told what it can do without', async () => {
    const { peer, happened, clock } = await stuck();
    for (let id = 2; id <= 12; id++) peer.answer(answer(id));
    await clock.advance(1_000);
    expect([peer.tell(answer(13)), peer.isUp, happened]).toEqual([false, true, []]);
  });
});
