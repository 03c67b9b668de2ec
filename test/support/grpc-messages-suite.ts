import { describe, expect, it } from '@jest/globals';
import { eventually } from './eventually.js';
import type { GrpcClient } from './grpc-clients.js';
import type { Ran } from './run-command.js';

/** What a client from outside does with messages, at the address of a cluster that has the agent `notes-1`. */
export function describeMessagesOf(outside: GrpcClient, address: () => string): void {
  const parsed = ({ stdout }: Ran) => JSON.parse(stdout);
  describe(`${outside.name} and Messaging`, () => {
    const call = (method: string, data: object = {}) => outside.call(address(), `troupe.v1.Messaging/${method}`, data);

    it('sends, asks, broadcasts, and looks', async () => {
      const text = `hello from ${outside.name}`;
      expect(await call('Send', { to: 'notes-1', payload: { text } })).toMatchObject({ code: 0 });
      const asked = await call('Request', { to: 'notes-1', payload: { json: { search: text } } });
      expect(parsed(asked)).toEqual({ from: 'notes-1', payload: { json: { notes: [text] } } });
      await eventually(async () => {
        const told = await call('Broadcast', { topic: 'orders.created', payload: { json: { order: 42 } } });
        expect(parsed(told)).toEqual({ delivered: { 'notes-1': true } });
      });
      expect(parsed(await call('ListTopics')).topics).toContainEqual(expect.objectContaining({ pattern: 'orders.*' }));
      const lost = await call('Send', { to: 'nobody', payload: { text } });
      expect(`${lost.stdout}${lost.stderr}`).toMatch(outside.code('NOT_FOUND'));
      expect(outside.errorInfo(lost)).toMatchObject({ reason: 'UNKNOWN_AGENT', domain: 'troupe.dev' });
      const { deadLetters, total } = parsed(await call('ListDeadLetters', { page_size: 1 }));
      expect(deadLetters).toMatchObject([{ to: 'nobody', reason: 'UNKNOWN_AGENT', payload: { text } }]);
      expect(Number(total)).toBeGreaterThan(0);
    });

    it('is told every field that is wrong', async () => {
      const wrong = await call('Send', { to: 'A B', at_least_once: true });
      expect(`${wrong.stdout}${wrong.stderr}`).toMatch(outside.code('INVALID_ARGUMENT'));
      expect(`${wrong.stdout}${wrong.stderr}`).toMatch(/to: must be .*id: is required by at_least_once/s);
    });

    it('learns what Messaging is for', async () => {
      expect(await outside.describe(address(), 'troupe.v1.Messaging')).toContain('Answers when the agent');
    });
  });
}
