import { afterEach, describe, expect, it } from '@jest/globals';
import type { Instance } from '../../../src/core/instance.js';
import { SUCCEEDED } from '../../../src/upstream/verdict.js';
import { FakeClock } from '../../support/fake-clock.js';
import { agentOf, nodeOf } from '../discovery/instances.js';
import { RouterRig } from './rig.js';

const clock = new FakeClock();
let rig = new RouterRig(clock, []);

function rigOf(...instances: Instance[]): RouterRig {
  rig.health.close();
  rig = new RouterRig(clock, instances);
  return rig;
}

const FAILED = { kind: 'failed', reason: 'AGENT_ERROR', isSilent: false } as const;
const UNREACHABLE = { kind: 'unreachable', reason: 'Connection dropped' } as const;
const agents = (count: number, ...capabilities: string[]) =>
  Array.from({ length: count }, (_, index) => agentOf(`a${index}`, capabilities.length === 0 ? ['work'] : capabilities));

function call(id: string, verdict: Parameters<RouterRig['health']['end']>[1], times = 1): void {
  for (let n = 0; n < times; n++) {
    const target = rig.target(id);
    if (rig.health.begin(target)) rig.health.end(target, verdict);
  }
}

afterEach(() => {
  rig.health.close();
  expect(clock.pending).toBe(0);
});

describe('an agent', () => {
  it('is ejected after five failures in a row, longer each time, and told of with the reason', async () => {
    const { health, transitions } = rigOf(nodeOf('node-1'), ...agents(4));
    call('a0', FAILED, 4);
    call('a0', SUCCEEDED);
    call('a0', FAILED, 4);
    expect(transitions).toEqual([]);
    call('a0', FAILED);
    expect(transitions).toEqual(['a0: healthy > ejected']);
    expect(health.isUsable(rig.target('a0'))).toBe(false);
    expect(health.isShut(rig.target('a0'))).toBe(false);
    expect([...health.unhealthy()]).toMatchObject([
      {
        id: 'a0',
        nodeId: 'node-1',
        kind: 'ejected',
        reason: '5 failures in a row, the last: AGENT_ERROR',
        untilMs: clock.now() + 10_000,
      },
    ]);
    await clock.advance(10_000);
    expect(transitions).toEqual(['a0: healthy > ejected', 'a0: ejected > healthy']);
    call('a0', FAILED, 5);
    await clock.advance(19_999);
    expect(transitions).toHaveLength(3);
    await clock.advance(1);
    expect(transitions).toHaveLength(4);
  });

  it('is not ejected where more than half would be', () => {
    const { transitions } = rigOf(nodeOf('node-1'), ...agents(3));
    for (const id of ['a0', 'a1', 'a2']) call(id, FAILED, 10);
    expect(transitions).toEqual(['a0: healthy > ejected']);
  });

  it('that is the only one of any of its capabilities is not ejected', () => {
    const { transitions } = rigOf(nodeOf('node-1'), ...agents(4), agentOf('special', ['work', 'alone']));
    call('special', FAILED, 20);
    expect(transitions).toEqual([]);
  });

  it('whose calls succeed less often than those of its like is ejected when an interval is over', async () => {
    const { transitions, health } = rigOf(nodeOf('node-1'), ...agents(5));
    const round = () => {
      for (const id of ['a1', 'a2', 'a3', 'a4']) call(id, SUCCEEDED, 2);
      call('a0', SUCCEEDED);
      call('a0', FAILED);
    };
    for (let n = 0; n < 20; n++) round();
    expect(transitions).toEqual([]);
    await clock.advance(5_000);
    round();
    expect(transitions).toEqual(['a0: healthy > ejected']);
    expect([...health.unhealthy()][0]?.reason).toBe('50 % of its calls succeed, where those like it have at least 52 %');
  });

  it('whose circuit is open at its node gets nothing until then, and no longer', async () => {
    const { transitions, health } = rigOf(nodeOf('node-1'), ...agents(2));
    call('a0', { kind: 'circuit_open', reason: 'its circuit is open', retryAfterMs: 4_000 });
    expect(transitions).toEqual(['a0: healthy > circuit_open']);
    expect(health.isShut(rig.target('a0'))).toBe(true);
    expect(health.whyNot(rig.target('a0'))).toEqual({ kind: 'circuit_open', reason: 'its circuit is open', retryInMs: 4_000 });
    await clock.advance(4_000);
    expect(transitions[1]).toBe('a0: circuit_open > probation');
    call('a0', SUCCEEDED);
    expect(transitions[2]).toBe('a0: probation > healthy');
  });

  it('follows what its owner and its lease say', () => {
    const { transitions, health } = rigOf(nodeOf('node-1'), ...agents(2));
    rig.put(agentOf('a0', ['work'], { status: 'degraded' }));
    expect(health.isUsable(rig.target('a0'))).toBe(true);
    rig.put(agentOf('a0', ['work'], { status: 'stopping' }));
    rig.remove('agent', 'a0');
    rig.remove('agent', 'a1');
    expect(transitions).toEqual([
      'a0: healthy > degraded',
      'a0: degraded > draining',
      'a0: draining > gone',
      'a1: healthy > gone',
    ]);
    expect(health.allWell).toBe(true);
  });

  it('that comes back as another life starts anew, and its place among the ejected is free', () => {
    const { transitions } = rigOf(nodeOf('node-1'), ...agents(2));
    call('a0', FAILED, 5);
    rig.put(agentOf('a0', ['work'], { incarnation: 2n }));
    expect(transitions).toEqual(['a0: healthy > ejected', 'a0: ejected > healthy']);
    call('a1', FAILED, 5);
    expect(transitions[2]).toBe('a1: healthy > ejected');
  });

  it('that offers something else while it is ejected leaves the place that it took', async () => {
    const { transitions } = rigOf(nodeOf('node-1'), ...agents(2));
    call('a0', FAILED, 5);
    rig.put(agentOf('a0', ['other']));
    rig.put(agentOf('a0', ['work']));
    await clock.advance(10_000);
    call('a1', FAILED, 5);
    expect(transitions).toEqual(['a0: healthy > ejected', 'a0: ejected > healthy', 'a1: healthy > ejected']);
  });

  it('that has gone is not brought back by a call that ends after it', () => {
    const { health } = rigOf(nodeOf('node-1'), ...agents(2));
    const target = rig.target('a0');
    rig.remove('agent', 'a0');
    for (let n = 0; n < 10; n++) health.end(target, FAILED);
    expect([...health.unhealthy()]).toEqual([]);
    expect(health.allWell).toBe(true);
  });
});

describe('a call to an earlier life', () => {
  it('of an agent tells nothing of the present one', () => {
    const { health, transitions } = rigOf(nodeOf('node-1'), ...agents(2));
    const old = rig.target('a0');
    rig.put(agentOf('a0', ['work'], { incarnation: 2n, status: 'starting' }));
    for (let n = 0; n < 9; n++) health.end(old, FAILED);
    health.end(old, { kind: 'circuit_open', reason: 'x', retryAfterMs: 60_000 });
    rig.put(agentOf('a0', ['work'], { incarnation: 2n }));
    expect(health.isUsable(rig.target('a0'))).toBe(true);
    expect(transitions).toEqual(['a0: healthy > starting', 'a0: starting > healthy']);
  });

  it('of a node does not open the circuit of the present one', () => {
    const { health, transitions } = rigOf(nodeOf('node-1'), ...agents(2));
    const old = rig.target('a0');
    const era = health.eraOf(old);
    for (const _ of [1, 2, 3, 4, 5]) health.begin(old);
    rig.put(nodeOf('node-1', { incarnation: 2n }));
    for (const _ of [1, 2, 3, 4, 5]) health.end(old, UNREACHABLE, era);
    expect(transitions).toEqual([]);
    rig.remove('node', 'node-1');
    rig.put(nodeOf('node-1', { incarnation: 3n }));
    for (const _ of [1, 2, 3, 4, 5]) health.end(old, UNREACHABLE, era);
    expect(health.isUsable(rig.target('a1'))).toBe(true);
  });
});

describe('a node', () => {
  it('that says nothing until the deadline has not shown that it is well', async () => {
    const { health, transitions } = rigOf(nodeOf('node-1'), ...agents(4));
    call('a0', UNREACHABLE, 4);
    call('a1', { ...FAILED, isSilent: true });
    call('a0', UNREACHABLE);
    expect(transitions).toEqual(['node-1: healthy > circuit_open']);
    await clock.advance(500);
    call('a2', { ...FAILED, isSilent: true });
    expect([...health.circuits()].map(([, { state }]) => state.kind)).toEqual(['half_open']);
  });

  it('that cannot be reached five times in a row is left alone, and tried with one call after a pause', async () => {
    const { transitions, health } = rigOf(nodeOf('node-1'), ...agents(2));
    call('a0', UNREACHABLE, 3);
    call('a1', UNREACHABLE, 2);
    expect(transitions).toEqual(['node-1: healthy > circuit_open']);
    for (const id of ['a0', 'a1']) expect(health.isShut(rig.target(id))).toBe(true);
    expect(health.begin(rig.target('a0'))).toBe(false);
    expect([...health.circuits()].map(([id, { state }]) => [id, state.kind])).toEqual([['node-1', 'open']]);
    await clock.advance(500);
    expect(transitions[1]).toBe('node-1: circuit_open > probation');
    expect(health.begin(rig.target('a0'))).toBe(true);
    expect(health.begin(rig.target('a1'))).toBe(false);
    health.end(rig.target('a0'), SUCCEEDED);
    expect(transitions[2]).toBe('node-1: probation > healthy');
    expect(health.begin(rig.target('a1'))).toBe(true);
  });

  it('whose agents fail is well', () => {
    const { transitions, health } = rigOf(nodeOf('node-1'), agentOf('only', ['work']));
    call('only', FAILED, 50);
    expect(transitions).toEqual([]);
    expect([...health.circuits()][0]?.[1].counts).toMatchObject({ failures: 0, successes: 50 });
  });

  it('that misses probes takes its agents with it, and brings them back', () => {
    const { transitions, health } = rigOf(nodeOf('node-1'), ...agents(2));
    const probe = { failing: true, reason: 'no answer', sinceMs: 0, registryId: 'registry-1' };
    rig.put(nodeOf('node-1', { probe }));
    expect(health.isUsable(rig.target('a1'))).toBe(false);
    expect(health.isShut(rig.target('a1'))).toBe(false);
    rig.put(nodeOf('node-1'));
    expect(health.isUsable(rig.target('a1'))).toBe(true);
    expect(transitions).toEqual(['node-1: healthy > suspect', 'node-1: suspect > healthy']);
  });

  it('that was registered anew has a closed circuit', () => {
    const { transitions, health } = rigOf(nodeOf('node-1'), ...agents(1));
    call('a0', UNREACHABLE, 5);
    rig.put(nodeOf('node-1', { incarnation: 2n }));
    expect(transitions).toEqual(['node-1: healthy > circuit_open', 'node-1: circuit_open > healthy']);
    expect(health.begin(rig.target('a0'))).toBe(true);
  });

  it('that is not in the view does not keep its agents from being called', () => {
    const { health } = rigOf(agentOf('a', ['work'], { nodeId: 'somewhere' }));
    expect(health.begin(rig.target('a'))).toBe(true);
    health.end(rig.target('a'), UNREACHABLE);
  });
});
