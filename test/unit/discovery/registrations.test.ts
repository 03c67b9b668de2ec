import { describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import type { InstanceKey } from '../../../src/core/instance.js';
import { PUT_AT_ONCE, type Write } from '../../../src/discovery/registration-write.js';
import { IN_DOUBT_MS, Registrations } from '../../../src/discovery/registrations.js';
import { agentOf, nodeOf } from './instances.js';

const SELF = nodeOf('node-1', { status: 'starting' });
const AWAY = new TroupeError('UNAVAILABLE', 'REGISTRY_UNAVAILABLE', 'away');

/** Registrations under lease 1, and what those who ask hear. */
function rig({ held = true } = {}) {
  const taken: string[] = [];
  const registrations = new Registrations(SELF, ({ id }) => taken.push(id));
  if (held) registrations.begin(1n, SELF);
  const heard: Record<string, string> = {};
  const asker = (name: string) => ({
    done: () => {
      heard[name] = 'done';
    },
    failed: (error: unknown) => {
      heard[name] = (error as TroupeError).reason;
    },
  });
  const put = (...ids: string[]) =>
    registrations.want(
      ids.map((id) => agentOf(id, ['x'])),
      asker(`put ${ids}`),
    );
  const remove = (...ids: string[]) => registrations.unwant(ids.map(keyOf), asker(`remove ${ids}`));
  const become = (status: 'up' | 'stopping') => registrations.become(status, asker(status));
  const next = (nowMs = 0) => registrations.next(nowMs) as Write;
  /** Sends all that is due, and lets the registry take it. */
  const writeAll = (nowMs = 0) => {
    const said: string[] = [];
    for (let write = registrations.next(nowMs); write !== undefined; write = registrations.next(nowMs)) {
      said.push(saidBy(write));
      registrations.acknowledged(write);
    }
    return said;
  };
  return { registrations, taken, heard, put, remove, become, next, writeAll };
}

const keyOf = (id: string): InstanceKey => ({ service: 'agent', id });

function saidBy({ kind, changes }: Write): string {
  return `${kind} ${changes.map(({ key, instance }) => (kind === 'status' ? instance?.status : key.id)).join(' ')}`;
}

function refusal(code: TroupeError['code'], reason: string, id = ''): TroupeError {
  return new TroupeError(code, reason, reason, { metadata: id === '' ? {} : { service: 'agent', id } });
}

type Rig = ReturnType<typeof rig>;

describe('Registrations', () => {
  it.each<[string, (rig: Rig) => void, string[]]>([
    ['nothing where all is as it shall be', () => undefined, []],
    ['what was put', ({ put }) => put('a', 'b'), ['register a b']],
    [
      'together what was put one by one, in that order',
      ({ put }) => {
        put('b');
        put('a', 'c');
      },
      ['register b a c'],
    ],
    [
      'what was asked for first, and with it all of its kind',
      ({ put, remove, writeAll }) => {
        put('a', 'b');
        writeAll();
        remove('a');
        put('c');
        remove('b');
      },
      ['remove a b', 'register c'],
    ],
    [
      'nothing of what was removed before it was sent',
      ({ put, remove }) => {
        put('a');
        remove('a');
      },
      [],
    ],
    [
      'a status that was not sent yet as the last one',
      ({ become }) => {
        become('up');
        become('stopping');
      },
      ['status stopping'],
    ],
    [
      'no status that may not follow',
      ({ become, writeAll }) => {
        become('stopping');
        writeAll();
        become('up');
      },
      [],
    ],
    ['nothing of what was never there', ({ remove }) => remove('a'), []],
    [
      'nothing of the process itself, which is not put or removed',
      (r) => r.registrations.unwant([SELF], { done() {}, failed() {} }),
      [],
    ],
  ])('writes %s', (_, ask, said) => {
    const each = rig();
    ask(each);
    expect(each.writeAll()).toEqual(said);
    expect(each.writeAll()).toEqual([]);
    expect(each.registrations.isAwaited).toBe(false);
  });

  it('writes at most 100 at once, and never parts what was put together', () => {
    const { put, writeAll } = rig();
    const ids = (from: number, count: number) => Array.from({ length: count }, (_, index) => `a${from + index}`);
    put(...ids(0, PUT_AT_ONCE - 10));
    put(...ids(200, 20));
    for (const id of ids(300, 130)) put(id);
    const sizes = () => writeAll().map((said) => said.split(' ').length - 1);
    expect(sizes()).toEqual([90, 100, 50]);
    put(...ids(500, 60));
    put(...ids(600, 40));
    expect(sizes()).toEqual([100]);
  });

  it('tells who asked when the registry has it', () => {
    const { put, remove, become, heard, next, registrations } = rig();
    put('a', 'b');
    const write = next();
    become('up');
    expect(heard).toEqual({});
    registrations.acknowledged(write);
    expect(heard).toEqual({ 'put a,b': 'done' });
    registrations.acknowledged(next());
    remove('a', 'nobody');
    remove('nobody');
    expect(heard).toEqual({ 'put a,b': 'done', up: 'done', 'remove nobody': 'done' });
    registrations.acknowledged(next());
    expect(heard['remove a,nobody']).toBe('done');
    expect(registrations.size).toBe(2);
  });

  // [the key, what was asked for before, what who asked for that has heard in the end]
  it.each<[string, (rig: Rig) => void, Record<string, string>]>([
    ['new', () => undefined, {}],
    [
      'registered',
      ({ put, writeAll }) => {
        put('a');
        writeAll();
      },
      { 'put a': 'done' },
    ],
    ['asked for by another', ({ put }) => put('a'), { 'put a': 'WITHDRAWN' }],
    [
      'on its way for another',
      ({ put, next }) => {
        put('a');
        next();
      },
      { 'put a': 'WITHDRAWN' },
    ],
  ])('registers the last of those that one put has of a key that is %s', (_, before, heardBefore) => {
    const each = rig();
    before(each);
    const [first, other, last] = [agentOf('a', ['first']), agentOf('b', []), agentOf('a', ['last'])];
    const heard: string[] = [];
    each.registrations.want([first, other, last], { done: () => heard.push('done'), failed: () => heard.push('failed') });
    const write = each.next();
    expect(write.changes.map(({ instance }) => instance)).toEqual([last, other]);
    each.registrations.acknowledged(write);
    expect(heard).toEqual(['done']);
    expect(each.writeAll()).toEqual([]);
    expect(each.registrations.size).toBe(3);
    expect(each.registrations.isAwaited).toBe(false);
    expect(each.heard).toEqual(heardBefore);
  });

  it('takes back all of a put that has a key twice', () => {
    const { registrations, put, heard, next, writeAll } = rig();
    put('a', 'a');
    registrations.refused(next(), refusal('ALREADY_EXISTS', 'ALREADY_REGISTERED', 'a'));
    expect(heard).toEqual({ 'put a,a': 'ALREADY_REGISTERED' });
    expect(writeAll()).toEqual([]);
    expect(registrations.size).toBe(1);
  });

  describe('while a write is on its way', () => {
    it('takes back what is removed before it is registered, and all that was put with it', () => {
      const { put, remove, heard, next, writeAll, registrations } = rig();
      put('a', 'b');
      const write = next();
      remove('a');
      expect(heard).toEqual({ 'put a,b': 'WITHDRAWN' });
      registrations.acknowledged(write);
      expect(heard['remove a']).toBeUndefined();
      expect(writeAll()).toEqual(['remove a b']);
      expect(heard['remove a']).toBe('done');
    });

    it('puts what is put anew once it was removed', () => {
      const { put, remove, heard, next, writeAll, registrations } = rig();
      put('a');
      writeAll();
      remove('a');
      const write = next();
      put('a');
      expect(heard['remove a']).toBe('done');
      registrations.acknowledged(write);
      expect(writeAll()).toEqual(['register a']);
    });

    it('asks again for what was asked for meanwhile, where it fails', () => {
      const { put, remove, heard, next, writeAll, registrations } = rig();
      put('a');
      writeAll();
      remove('a');
      const write = next();
      put('a');
      registrations.unanswered(write, AWAY);
      expect(heard['put a']).toBe('done');
      expect(registrations.isAwaited).toBe(true);
      expect(writeAll()).toEqual(['register a']);
    });
  });

  // [what is refused, how, whether to go on at once, what is written after that, what was heard]
  it.each<[string, (rig: Rig) => void, TroupeError, boolean, string[], Record<string, string>]>([
    [
      'a put that is taken',
      ({ put }) => put('a', 'b'),
      refusal('ALREADY_EXISTS', 'ALREADY_REGISTERED', 'b'),
      true,
      [],
      { 'put a,b': 'ALREADY_REGISTERED' },
    ],
    [
      'one of several puts that is taken',
      ({ put }) => {
        put('a');
        put('b');
        put('c');
      },
      refusal('ALREADY_EXISTS', 'ALREADY_REGISTERED', 'b'),
      true,
      ['register a c'],
      { 'put a': 'done', 'put b': 'ALREADY_REGISTERED', 'put c': 'done' },
    ],
    [
      'several puts for what may be the fault of one',
      ({ put }) => {
        put('a', 'b');
        put('c');
      },
      refusal('INVALID_ARGUMENT', 'INVALID_FIELD'),
      true,
      ['register a b', 'register c'],
      { 'put a,b': 'done', 'put c': 'done' },
    ],
    ['a put', ({ put }) => put('a'), refusal('INVALID_ARGUMENT', 'INVALID_FIELD'), true, [], { 'put a': 'INVALID_FIELD' }],
    [
      'a removal of what is somebody else’s by now',
      ({ put, writeAll, remove }) => {
        put('a');
        writeAll();
        remove('a');
      },
      refusal('PERMISSION_DENIED', 'NOT_THE_HOLDER'),
      true,
      [],
      { 'put a': 'done', 'remove a': 'done' },
    ],
    [
      'several removals, one of which is somebody else’s',
      ({ put, writeAll, remove }) => {
        put('a', 'b');
        writeAll();
        remove('a', 'b');
      },
      refusal('PERMISSION_DENIED', 'NOT_THE_HOLDER'),
      true,
      ['remove a', 'remove b'],
      { 'put a,b': 'done', 'remove a,b': 'done' },
    ],
    [
      'a removal for another reason',
      ({ put, writeAll, remove }) => {
        put('a');
        writeAll();
        remove('a');
      },
      refusal('ABORTED', 'CONTENTION'),
      false,
      ['remove a'],
      { 'put a': 'done', 'remove a': 'CONTENTION' },
    ],
    [
      'a status, for the process is not there',
      ({ become }) => become('up'),
      refusal('NOT_FOUND', 'UNKNOWN_INSTANCE'),
      true,
      ['register node-1'],
      { up: 'done' },
    ],
    [
      'a status, for it may not follow that which is there',
      ({ become }) => become('up'),
      refusal('FAILED_PRECONDITION', 'STATUS_TRANSITION'),
      true,
      ['register node-1'],
      { up: 'done' },
    ],
    [
      'a status for another reason',
      ({ become }) => become('up'),
      refusal('ABORTED', 'CONTENTION'),
      false,
      ['status up'],
      { up: 'CONTENTION' },
    ],
  ])('goes on where the registry refuses %s', (_, ask, error, goesOn, said, heard) => {
    const each = rig();
    ask(each);
    expect(each.registrations.refused(each.next(), error)).toBe(goesOn);
    expect(each.writeAll()).toEqual(said);
    expect(each.heard).toEqual(heard);
  });

  it('leaves what was put before where it is put anew and refused', () => {
    const { put, next, writeAll, registrations } = rig();
    put('a');
    writeAll();
    put('a');
    registrations.refused(next(), refusal('INVALID_ARGUMENT', 'INVALID_FIELD'));
    expect(writeAll()).toEqual([]);
    expect(registrations.size).toBe(2);
  });

  it('concludes a removal where the registration that it overtook is refused', () => {
    const { put, remove, heard, next, registrations, writeAll } = rig();
    put('a');
    const write = next();
    remove('a');
    registrations.refused(write, refusal('ALREADY_EXISTS', 'ALREADY_REGISTERED', 'a'));
    expect(heard).toEqual({ 'put a': 'WITHDRAWN', 'remove a': 'done' });
    expect(writeAll()).toEqual([]);
  });

  it('tries what was put anew while what it overtook is refused', () => {
    const { put, remove, heard, next, registrations, writeAll } = rig();
    put('a');
    const write = next();
    remove('a');
    put('a');
    expect(heard).toEqual({ 'put a': 'WITHDRAWN', 'remove a': 'done' });
    expect(registrations.refused(write, refusal('INVALID_ARGUMENT', 'INVALID_FIELD'))).toBe(true);
    expect(writeAll()).toEqual(['register a']);
    expect(heard['put a']).toBe('done');
  });

  it('gives up nothing that was removed while another has taken it', () => {
    const { put, remove, next, registrations, taken, writeAll } = rig();
    put('a');
    const write = next();
    remove('a');
    registrations.refused(write, refusal('ALREADY_EXISTS', 'ALREADY_REGISTERED', 'a'));
    expect(taken).toEqual([]);
    expect(writeAll()).toEqual([]);
  });

  describe('without an answer', () => {
    it('takes back what was put, and once more when it can no longer come', () => {
      const { put, heard, next, writeAll, registrations } = rig();
      put('a');
      registrations.unanswered(next(1_000), AWAY);
      expect(heard).toEqual({ 'put a': 'REGISTRY_UNAVAILABLE' });
      expect(registrations.isAwaited).toBe(false);
      expect(writeAll(2_000)).toEqual(['remove a']);
      expect(registrations.dueAtMs).toBe(1_000 + IN_DOUBT_MS);
      expect(writeAll(999 + IN_DOUBT_MS)).toEqual([]);
      expect(writeAll(1_000 + IN_DOUBT_MS)).toEqual(['remove a']);
      expect(registrations.dueAtMs).toBeUndefined();
      expect(registrations.size).toBe(1);
    });

    it('registers again what was put after a removal that may yet come', () => {
      const { put, remove, heard, next, writeAll, registrations } = rig();
      put('a');
      writeAll();
      remove('a');
      registrations.unanswered(next(0), AWAY);
      expect(heard['remove a']).toBe('REGISTRY_UNAVAILABLE');
      put('a');
      expect(writeAll(100)).toEqual(['register a']);
      expect(writeAll(IN_DOUBT_MS)).toEqual(['register a']);
      expect(writeAll(IN_DOUBT_MS * 2)).toEqual([]);
    });

    it('tells the status again, as a status: a new registration would forget what probes found', () => {
      const { become, heard, next, writeAll, registrations } = rig();
      become('up');
      registrations.unanswered(next(0), AWAY);
      expect(heard).toEqual({ up: 'REGISTRY_UNAVAILABLE' });
      expect(writeAll(100)).toEqual(['status up']);
      expect(writeAll(IN_DOUBT_MS)).toEqual(['status up']);
    });

    it('does not keep back what else is due', () => {
      const { put, remove, next, writeAll, registrations } = rig();
      put('a', 'b');
      writeAll();
      remove('a');
      registrations.unanswered(next(0), AWAY);
      put('c');
      registrations.unanswered(next(0), AWAY);
      expect(saidBy(next(0))).toBe('register c');
    });
  });

  describe('from lease to lease', () => {
    it('takes nothing without one, and removes at once', () => {
      const { put, remove, become, heard, next, registrations } = rig({ held: false });
      expect(() => put('a')).toThrow(expect.objectContaining({ reason: 'NOT_JOINED' }));
      remove('a');
      become('up');
      expect(heard).toEqual({ 'remove a': 'done', up: 'done' });
      expect(next()).toBeUndefined();
      expect(registrations.isRestored).toBe(false);
      registrations.begin(1n, SELF);
      expect(registrations.isRestored).toBe(true);
      expect(saidBy(next())).toBe('status up');
    });

    it('restores what was registered, and nothing that was asked for or removed when the last one ended', () => {
      const { put, remove, heard, next, writeAll, registrations } = rig();
      put('a', 'b');
      put('c');
      writeAll();
      put('d');
      remove('b');
      const old = next();
      registrations.end();
      expect(heard).toMatchObject({ 'put d': 'NOT_JOINED', 'remove b': 'done' });
      remove('c');
      registrations.begin(2n, registrations.self);
      registrations.acknowledged(old);
      expect(registrations.isRestored).toBe(false);
      expect(() => put('e')).toThrow(expect.objectContaining({ reason: 'NOT_JOINED' }));
      expect(writeAll()).toEqual(['register a']);
      expect(registrations.isRestored).toBe(true);
    });

    it('gives up what somebody else has taken meanwhile, and restores the others', () => {
      const { put, writeAll, next, taken, registrations } = rig();
      put('a', 'b', 'c');
      writeAll();
      registrations.begin(2n, SELF);
      expect(registrations.refused(next(), refusal('ALREADY_EXISTS', 'ALREADY_REGISTERED', 'b'))).toBe(true);
      expect(taken).toEqual(['b']);
      expect(registrations.isRestored).toBe(false);
      expect(writeAll()).toEqual(['register a c']);
      expect(registrations.isRestored).toBe(true);
    });

    it('needs not restore what is removed meanwhile', () => {
      const { put, remove, writeAll, registrations } = rig();
      put('a');
      writeAll();
      registrations.begin(2n, SELF);
      remove('a');
      expect(registrations.isRestored).toBe(true);
      expect(writeAll()).toEqual([]);
    });

    it('writes the status that the process got while it registered', () => {
      const { become, writeAll, registrations } = rig();
      registrations.end();
      become('up');
      registrations.begin(2n, SELF);
      expect(writeAll()).toEqual(['status up']);
    });
  });
});
