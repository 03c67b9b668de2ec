import { describe, expect, it } from '@jest/globals';
import { decideHealth, type HealthInputs, isShut, isUsable } from '../../../src/upstream/instance-health.js';

const WELL: HealthInputs = { present: true, status: 'up', probe: undefined, ejection: undefined, circuit: undefined };
const probe = { failing: true, reason: 'no answer to 2 health checks', sinceMs: 0, registryId: 'registry-1' };
const ejection = { untilMs: 2_000, reason: '5 failures in a row' };
const open = { kind: 'open', untilMs: 3_000, reason: 'refused' } as const;
const NOW = 1_000;

describe('an instance', () => {
  it.each<[string, Partial<HealthInputs>, string]>([
    ['of which nothing bad is known', {}, 'healthy'],
    ['whose lease is gone, whatever else is known', { present: false, probe, ejection, circuit: open }, 'gone'],
    ['that is DOWN', { status: 'down' }, 'gone'],
    ['that drains, whatever else is known', { status: 'stopping', probe, circuit: open }, 'draining'],
    ['that is not ready', { status: 'starting' }, 'starting'],
    ['whose circuit is open, also when probes fail', { circuit: open, probe }, 'circuit_open'],
    ['that misses probes, also when its calls fail', { probe, ejection }, 'suspect'],
    ['whose probes passed again', { probe: { ...probe, failing: false } }, 'healthy'],
    ['that is ejected', { ejection }, 'ejected'],
    ['whose ejection is over', { ejection: { ...ejection, untilMs: NOW } }, 'healthy'],
    ['whose circuit may be tried again', { circuit: { ...open, untilMs: NOW } }, 'probation'],
    ['whose circuit is half-open', { circuit: { kind: 'half_open', reason: 'x' } }, 'probation'],
    ['whose owner says DEGRADED', { status: 'degraded' }, 'degraded'],
    ['that is DEGRADED and misses probes', { status: 'degraded', probe }, 'suspect'],
  ])('%s', (_what, inputs, kind) => {
    expect(decideHealth({ ...WELL, ...inputs }, NOW).kind).toBe(kind);
  });

  it('that is not well says why, and until when', () => {
    expect(decideHealth({ ...WELL, ejection }, NOW)).toEqual({ kind: 'ejected', ...ejection });
    expect(decideHealth({ ...WELL, circuit: open }, NOW)).toEqual({ kind: 'circuit_open', reason: 'refused', untilMs: 3_000 });
    expect(decideHealth({ ...WELL, probe }, NOW)).toEqual({ kind: 'suspect', reason: probe.reason });
    expect(decideHealth({ ...WELL, present: false }, NOW)).toEqual({ kind: 'gone', reason: expect.stringContaining('lease') });
  });

  it('is usable, set aside, or shut', () => {
    const kinds = [
      'healthy',
      'degraded',
      'probation',
      'suspect',
      'ejected',
      'circuit_open',
      'draining',
      'starting',
      'gone',
    ] as const;
    expect(kinds.filter(isUsable)).toEqual(['healthy', 'degraded', 'probation']);
    expect(kinds.filter(isShut)).toEqual(['circuit_open', 'draining', 'starting', 'gone']);
  });
});
