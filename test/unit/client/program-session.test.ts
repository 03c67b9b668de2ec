import { describe, expect, it } from '@jest/globals';
import { ProgramSession } from '../../../src/client/program-session.js';
import { ProgramWork } from '../../../src/client/program-work.js';
import { RoutedEnvelope } from '../../../src/gen/troupe/internal/v1/session.js';
import { EnvelopeKind } from '../../../src/gen/troupe/v1/envelope.js';
import { Hello } from '../../../src/gen/troupe/v1/messaging.js';
import type { RawClient } from '../../../src/rpc/raw-client.js';
import { FakeClock, settle } from '../../support/fake-clock.js';

/** A session that has no stream, as while it connects again. */
function away() {
  const clock = new FakeClock();
  const nothing = () => undefined;
  const listener = { attached: nothing, given: nothing, subscribed: nothing, drains: nothing, broken: nothing };
  const session = new ProgramSession({} as RawClient, () => Hello.fromPartial({}), listener, clock);
  const ask = (timeoutMs: number, signal?: AbortSignal) =>
    session.ask({ kind: EnvelopeKind.ENVELOPE_KIND_REQUEST, deadline: new Date(clock.now() + timeoutMs) }, signal);
  /** Nothing more can wait to be sent. */
  const fill = () => {
    for (const bytes of [1024 * 1024, 1024, 1])
      for (let isFull = false; !isFull; )
        try {
          session.send({ payload: Buffer.alloc(bytes) });
        } catch {
          isFull = true;
        }
  };
  return { clock, session, ask, fill };
}

describe('ProgramSession', () => {
  it('waits for an answer no longer than its deadline, also while it has no stream', async () => {
    const { clock, ask } = away();
    const answer = ask(1_000).catch((error: unknown) => error);
    await clock.advance(1_000);
    expect(await answer).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(clock.pending).toBe(0);
  });

  it('does not ask for somebody who does not wait any more', async () => {
    const { clock, ask } = away();
    await expect(ask(1_000, AbortSignal.abort())).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(clock.pending).toBe(0);
  });

  it('ends a wait also where nothing more can be sent', async () => {
    const { clock, ask, fill } = away();
    const controller = new AbortController();
    const answer = ask(1_000, controller.signal);
    fill();
    controller.abort();
    await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(clock.pending).toBe(0);
    fill();
    await expect(ask(1_000)).rejects.toMatchObject({ reason: 'SESSION_FULL' });
    expect(clock.pending).toBe(0);
  });

  it('rejects what waits when it is closed without a stream', async () => {
    const { session, ask } = away();
    const answer = ask(1_000);
    session.end();
    await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('ProgramWork', () => {
  it('is done also where neither the answer nor the error can be sent', async () => {
    const { session, fill } = away();
    const agent = { place: () => ({ agentId: 'a', nodeId: 'node-1' }), subscribe: () => Promise.reject(new Error('none')) };
    const work = new ProgramWork({ id: 'a', receive: () => 'answer' }, session, agent);
    fill();
    work.given(RoutedEnvelope.fromPartial({ kind: EnvelopeKind.ENVELOPE_KIND_REQUEST, correlationId: 1n, deadline: undefined }));
    await work.whenIdle();
    await settle();
  });
});
