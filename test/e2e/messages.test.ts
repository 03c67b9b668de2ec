import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { bufCurl } from '../support/grpc-clients.js';
import { describeMessagesOf } from '../support/grpc-messages-suite.js';
import { ROOT, startTroupe } from '../support/processes.js';
import { runTroupe } from '../support/run-command.js';

/** The messages of docs/guides/messaging.md, by the built command and by grpcurl, on a cluster as `troupe dev` starts it. */

const NOTES = join(ROOT, 'examples', 'agents', 'notes.mjs');

let address: string;
const troupe = (...args: readonly string[]) => runTroupe(['--address', address, ...args]);

beforeAll(async () => {
  const ports = ['--port', '0', '--node-port', '0', '--registry-port', '0'];
  const dev = startTroupe(['dev', ...ports, '--agents', NOTES, '--no-deploy']);
  address = String((await dev.ready()).grpc);
  await eventually(async () => expect((await troupe('deploy', 'notes', '--id', 'notes-1')).code).toBe(0), { timeoutMs: 10_000 });
}, 30_000);

const parsed = ({ stdout }: { readonly stdout: string }) => JSON.parse(stdout);

describe('the command', () => {
  it('sends, and asks', async () => {
    const sent = await troupe('send', 'notes-1', '--text', 'the invoice is paid');
    expect(sent).toMatchObject({ code: 0, stdout: 'delivered to notes-1\n', stderr: '' });
    const asked = await troupe('request', 'notes-1', '--json', '{"search": "invoice"}');
    expect({ code: asked.code, answer: parsed(asked) }).toEqual({ code: 0, answer: { notes: ['the invoice is paid'] } });
    expect(asked.stderr).toMatch(/^notes-1, [\d.]+ m?s\n$/);
  });

  it('broadcasts, and shows who has it', async () => {
    const told = await eventually(async () => {
      const ran = await troupe('broadcast', 'orders.created', '--json', '{"order": 42}', '--header', 'source=shop');
      expect(ran.stdout).not.toBe('');
      return ran;
    });
    expect(told).toMatchObject({ code: 0, stdout: 'SUBSCRIBER  DELIVERED\nnotes-1     yes\n' });
    expect(parsed(await troupe('request', 'notes-1', '--json', '{"search": "order"}'))).toEqual({
      notes: expect.arrayContaining(['orders.created: {"order":42}']),
    });
    expect(await troupe('broadcast', 'nothing')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'Nobody subscribes to nothing.\n',
    });
  });

  it('listens, until it has heard enough', async () => {
    const listener = startTroupe(['listen', 'alerts.>', '--count', '2', '--output', 'json', '--address', address]);
    await eventually(async () =>
      expect(parsed(await troupe('topics', '--output', 'json'))).toContainEqual({ topic: 'alerts.>', nodeIds: ['gateway'] }),
    );
    for (const text of ['one', 'two'])
      expect((await troupe('broadcast', 'alerts.disk.full', '--text', text, '--header', 'a=b')).code).toBe(0);
    expect(await listener.exit).toEqual({ code: 0, signal: null });
    expect(listener.lines.map((line) => JSON.parse(line))).toEqual(
      ['one', 'two'].map((text) => ({
        topic: 'alerts.disk.full',
        from: expect.stringMatching(/^client-/),
        headers: { a: 'b' },
        payload: { text },
      })),
    );
  });

  it('ends a listener with 130 on Ctrl-C', async () => {
    const listener = startTroupe(['listen', 'quiet', '--address', address]);
    await eventually(() => expect(listener.stderr).toMatch(/^listening as client-/));
    expect((await listener.kill('SIGINT'))?.code).toBe(130);
  });

  it('shows what nobody got, of all processes', async () => {
    const sent = await troupe('send', 'nobody', '--json', '{"n": 1}', '--id', 'lost-1');
    expect(sent.code).toBe(4);
    expect(sent.stderr).toMatch(/^error: no agent "nobody" .* \(NOT_FOUND UNKNOWN_AGENT\)\n/);
    const letters = parsed(await troupe('dead-letters', '--output', 'json')) as { messageId: string }[];
    expect(letters.find(({ messageId }) => messageId === 'lost-1')).toMatchObject({
      nodeId: 'gateway',
      to: 'nobody',
      reason: 'UNKNOWN_AGENT',
      payload: { json: { n: 1 } },
    });
    const table = await troupe('dead-letters', 'gateway', '--limit', '5');
    expect(table.stdout).toMatch(/^AGE +NODE +FROM +TO +TOPIC +REASON +WHY\n/);
    expect(await troupe('dead-letters', 'node-9')).toMatchObject({ code: 4 });
  });
});

describeMessagesOf(bufCurl, () => address);
