import { describe, expect, it } from '@jest/globals';
import type { IEvent, IKeyValue } from 'etcd3';
import { RevisionGroups } from '../../../src/store/revision-groups.js';
import { keyOf } from '../../support/watch-recorder.js';

function event(revision: number, key: string, type: IEvent['type'] = 'Put'): IEvent {
  const kv: IKeyValue = {
    key: Buffer.from(key),
    value: Buffer.from('x'),
    create_revision: '1',
    mod_revision: String(revision),
    version: '1',
    lease: '0',
  };
  return { type, kv, prev_kv: kv };
}

function add(groups: RevisionGroups, events: readonly IEvent[], fragment = false): [bigint, string[]][] {
  return groups.add(events, fragment).map(({ revision, changes }) => [revision, changes.map(keyOf)]);
}

describe('RevisionGroups', () => {
  it('puts the events of a revision together, in order', () => {
    const given = add(new RevisionGroups(0n), [event(2, 'a'), event(2, 'b', 'Delete'), event(3, 'a')]);
    expect(given).toEqual([
      [2n, ['a', 'b']],
      [3n, ['a']],
    ]);
  });

  it('holds a revision that is split until its end is there', () => {
    const groups = new RevisionGroups(0n);
    expect(add(groups, [event(2, 'a'), event(3, 'b')], true)).toEqual([[2n, ['a']]]);
    expect(add(groups, [event(3, 'c')], true)).toEqual([]);
    expect(add(groups, [event(3, 'd'), event(4, 'e')], true)).toEqual([[3n, ['b', 'c', 'd']]]);
    expect(add(groups, [event(5, 'f')])).toEqual([
      [4n, ['e']],
      [5n, ['f']],
    ]);
  });

  it('drops what was delivered before', () => {
    expect(add(new RevisionGroups(3n), [event(2, 'a'), event(3, 'b'), event(4, 'c')])).toEqual([[4n, ['c']]]);
    expect(add(new RevisionGroups(3n), [event(3, 'b')])).toEqual([]);
  });
});
