import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { ROOT, startProcess } from '../support/processes.js';
import { client, startGateway, startNode, startRegistry } from '../support/roles.js';

describe('the example of an attached agent in TypeScript', () => {
  it('counts words, line by line, and says how many there were', async () => {
    const registry = await startRegistry();
    const [gateway] = await Promise.all([startGateway(registry.address), startNode('node-1', registry.address)]);
    const troupe = client(gateway.address);
    await eventually(async () => expect(await troupe.nodes()).toHaveLength(1));
    const script = join(ROOT, 'dist', 'examples', 'attached', 'counter.js');
    const example = startProcess(process.execPath, [script, '--address', gateway.address]);
    await example.event(({ event }) => event === 'attached');
    await eventually(async () =>
      expect((await troupe.instances({ service: 'agent' })).map((each) => each.id)).toContain('counter'),
    );
    const lines: unknown[] = [];
    for await (const event of troupe.runStream('counting', 'one two\nthree'))
      if (event.kind === 'chunk' && event.payload.kind === 'json') lines.push(event.payload.json);
    expect(lines).toEqual([
      { line: 'one two', words: 2 },
      { line: 'three', words: 1 },
    ]);
    expect((await troupe.request('counter', 'how many?')).json()).toEqual({ counted: 3 });
    expect(await example.kill('SIGTERM')).toMatchObject({ code: 0 });
  });
});
