import { describe, expect, it } from '@jest/globals';
import { ProgramMessenger } from '../../../src/client/program-messenger.js';
import type { ProgramSession } from '../../../src/client/program-session.js';
import { RoutedEnvelope } from '../../../src/gen/troupe/internal/v1/session.js';
import { FakeClock } from '../../support/fake-clock.js';

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('ProgramMessenger', () => {
  it('adds no more of the trace to the headers of a message than a node takes', async () => {
    const sent: RoutedEnvelope[] = [];
    const session = {
      clock: new FakeClock(),
      ask: async (envelope: Partial<RoutedEnvelope>) => {
        sent.push(RoutedEnvelope.fromPartial(envelope));
        return RoutedEnvelope.fromPartial({});
      },
    } as unknown as ProgramSession;
    const trace = { traceparent, tracestate: 'shop=1', baggage: 'user=ada' };
    const messenger = new ProgramMessenger(() => session, { deadlineMs: Number.POSITIVE_INFINITY, trace });
    for (const count of [0, 15, 16]) {
      const headers = Object.fromEntries(Array.from({ length: count }, (_, n) => [`own-${n}`, 'x']));
      await messenger.send('somebody', 'hello', { headers });
    }
    expect(sent.map(({ headers }) => headers.size)).toEqual([3, 16, 16]);
    expect(sent[1]?.headers.get('traceparent')).toBe(traceparent);
  });
});
