import { describe, expect, it } from '@jest/globals';
import { mergeStats } from '../../../src/gateway/merge-stats.js';
import { GetStatsResponse } from '../../../src/gen/troupe/v1/registry.js';

const stats = GetStatsResponse.fromPartial;

describe('the stats of several registries', () => {
  it('are those of the newest, with what each knows of its own summed up', () => {
    const circuit = (id: string) => ({ reporterId: id });
    const merged = mergeStats([
      stats({
        revision: 7n,
        instances: 3,
        watchers: 1,
        keepAlives: 2,
        circuits: [circuit('node-1')],
        services: [{ service: 'node', instances: 3, inFlight: 4, queued: 1, reporting: 2 }],
      }),
      stats({
        revision: 8n,
        instances: 4,
        watchers: 2,
        keepAlives: 2,
        leading: true,
        circuits: [circuit('node-2')],
        services: [
          { service: 'gateway', instances: 1 },
          { service: 'node', instances: 3, inFlight: 5, queued: 0, reporting: 1 },
        ],
      }),
    ]);
    expect(merged).toMatchObject({ revision: 8n, instances: 4, watchers: 3, keepAlives: 4, leading: true });
    expect(merged.circuits.map(({ reporterId }) => reporterId)).toEqual(['node-1', 'node-2']);
    expect(merged.services).toMatchObject([
      { service: 'gateway', inFlight: 0, reporting: 0 },
      { service: 'node', instances: 3, inFlight: 9, queued: 1, reporting: 3 },
    ]);
  });

  it('of one are what it says', () => {
    const only = stats({ revision: 1n, watchers: 5 });
    expect(mergeStats([only])).toBe(only);
  });
});
