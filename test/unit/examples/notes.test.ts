import { describe, expect, it } from '@jest/globals';
import type { AgentDefinition } from 'troupe';

/** Plain JavaScript, of no known type. */
const NOTES: string = '../../../examples/agents/notes.mjs';

describe('notes.mjs', () => {
  it('keeps the last notes, and finds them by a text', async () => {
    const { default: notes }: { default: AgentDefinition<unknown, string[]> } = await import(NOTES);
    const ctx = { state: [] as string[] } as unknown as Parameters<NonNullable<typeof notes.receive>>[1];
    const message = (kind: 'send' | 'request', text: string, topic = '') =>
      notes.receive?.(
        {
          kind,
          id: '',
          from: 'client-1',
          topic,
          headers: new Map(),
          payload: { kind: 'text', text },
          json: () => JSON.parse(text),
          text: () => text,
        },
        ctx,
      );
    for (let n = 0; n < 101; n++) message('send', `note ${n}`);
    message('send', '{"order":42}', 'orders.created');
    expect(message('request', '{"search": "note 10"}')).toEqual({ notes: ['note 10', 'note 100'] });
    expect(message('request', '{"search": "order"}')).toEqual({ notes: ['orders.created: {"order":42}'] });
    expect(message('request', '{}')).toMatchObject({ notes: { length: 100 } });
    expect(notes.topics).toEqual(['orders.*']);
  });
});
