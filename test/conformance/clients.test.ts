import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ROOT } from '../support/processes.js';
import { type CaseOutcome, clients } from './clients.js';
import { type ConformanceCluster, startConformanceCluster } from './cluster.js';

/** The same cases for every language: [name, what it shows]. */
const CASES = JSON.parse(readFileSync(join(ROOT, 'test', 'conformance', 'cases.json'), 'utf8')) as [string, string][];
const NAMES = CASES.map(([name]) => name);
const CLIENT_MS = 240_000;

let cluster: ConformanceCluster;

beforeAll(async () => {
  cluster = await startConformanceCluster();
}, 60_000);

describe.each(clients())('a client in $language, made from the .proto files alone', (client) => {
  let outcomes: ReadonlyMap<string, CaseOutcome>;

  beforeAll(async () => {
    outcomes = await client.run({ gateway: cluster.gateway.address, node: cluster.nodes[1].address, cases: NAMES });
  }, CLIENT_MS);

  it.each(CASES)('%s: %s', (name) => {
    expect(outcomes.get(name)).toEqual({ ok: true, detail: '' });
  });

  it('has told of each case once', () => {
    expect([...outcomes.keys()]).toEqual(NAMES);
  });
});
