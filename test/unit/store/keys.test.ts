import { describe, expect, it } from '@jest/globals';
import { Keys } from '../../../src/store/keys.js';

describe('Keys', () => {
  it('makes the keys of instances', () => {
    const keys = new Keys();
    expect(keys.instances()).toBe('/troupe/v1/instances/');
    expect(keys.instancesOf('planner')).toBe('/troupe/v1/instances/planner/');
    expect(keys.instance('planner', 'planner-1')).toBe('/troupe/v1/instances/planner/planner-1');
  });

  it('makes the key of a leader, which is no instance', () => {
    const keys = new Keys('/a');
    expect(keys.leader('registry')).toBe('/a/v1/leaders/registry');
    expect(keys.parseInstance(keys.leader('registry'))).toBeUndefined();
  });

  it('reads back what it made, and nothing else', () => {
    const keys = new Keys('/a/b');
    expect(keys.parseInstance(keys.instance('planner', 'one'))).toEqual({ service: 'planner', id: 'one' });
    const others = ['', '/a/b', '/a/b/v1/instances/', '/a/b/v1/instances/x', '/a/b/v1/instances/x/', '/a/b/v1/instances//x'];
    for (const key of [...others, '/a/b/v1/instances/x/y/z', '/a/b/v1/tasks/x/y', '/troupe/v1/instances/x/y']) {
      expect(keys.parseInstance(key)).toBeUndefined();
    }
  });

  it.each(['', 'troupe', '/', '/troupe/', '//', '/a//b', `/${'a'.repeat(200)}`, `/${'é'.repeat(100)}`])(
    'refuses the prefix %j',
    (prefix) => {
      expect(() => new Keys(prefix)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field: 'prefix' })] }),
      );
    },
  );

  it('takes a prefix of 200 bytes', () => {
    expect(new Keys(`/${'a'.repeat(199)}`).instances()).toHaveLength(200 + '/v1/instances/'.length);
  });
});
