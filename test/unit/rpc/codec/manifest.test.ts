import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from '@jest/globals';
import { AgentManifest } from '../../../../src/gen/troupe/v1/agent.js';
import { writeJson } from '../../../../src/rpc/codec/json-value.js';
import { manifestFromMessage, manifestToMessage } from '../../../../src/rpc/codec/manifest.js';
import { encodeWith } from '../../../../src/rpc/encode.js';

const GOOD = { id: 'data-1', kind: 'data', capabilities: ['a', 'b'], config: { x: [1, { y: null }] }, concurrency: 2, weight: 3 };

describe('AgentManifest', () => {
  it('comes through there and back', () => {
    const manifest = manifestFromMessage(AgentManifest.fromPartial({ ...GOOD, metadata: new Map([['k', 'v']]) }));
    expect(manifest).toMatchObject({ ...GOOD, metadata: { k: 'v' } });
    const back = AgentManifest.decode(AgentManifest.encode(manifestToMessage(manifest)).finish());
    expect(manifestFromMessage(back)).toEqual(manifest);
  });

  it.each([
    ['manifest.id', { id: '../x' }],
    ['manifest.id', { id: '' }],
    ['manifest.kind', { kind: 'a/b' }],
    ['manifest.capabilities[1]', { capabilities: ['a', 'a'] }],
    ['manifest.capabilities', { capabilities: Array.from({ length: 65 }, (_, i) => `c${i}`) }],
    ['manifest.metadata', { metadata: new Map(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v'] as const)) }],
    ['manifest.concurrency', { concurrency: 10_001 }],
    ['manifest.mailbox_capacity', { mailboxCapacity: 100_001 }],
    ['manifest.weight', { weight: 1_001 }],
    ['manifest.concurrency', { concurrency: 0 }],
    ['manifest.mailbox_capacity', { mailboxCapacity: 0 }],
    ['manifest.weight', { weight: 0 }],
    ['manifest.config', { config: { big: 'x'.repeat(70_000) } }],
  ])('names %s', (field, wrong) => {
    expect(() => manifestFromMessage(AgentManifest.fromPartial({ ...GOOD, ...wrong } as never))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }),
    );
  });

  it('leaves open what is not given, on the wire as well', () => {
    const manifest = manifestFromMessage(AgentManifest.fromPartial({ id: 'a-1', kind: 'k' }));
    expect(manifest).toEqual({ id: 'a-1', kind: 'k', capabilities: [], config: {}, metadata: {} });
    expect(manifestToMessage({ id: 'a-1', kind: 'k' })).toEqual(AgentManifest.fromPartial({ id: 'a-1', kind: 'k', config: {} }));
  });

  it.each([true, false])('says whether concurrency is adaptive: %s', (adaptiveConcurrency) => {
    const back = AgentManifest.decode(
      AgentManifest.encode(manifestToMessage({ id: 'a', kind: 'k', adaptiveConcurrency })).finish(),
    );
    expect(manifestFromMessage(back).adaptiveConcurrency).toBe(adaptiveConcurrency);
  });

  it('must be there', () => {
    expect(() => manifestFromMessage(undefined)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  function withConfig(value: Uint8Array): AgentManifest {
    const whole = new BinaryWriter().raw(
      AgentManifest.encode(AgentManifest.fromPartial({ ...GOOD, config: undefined })).finish(),
    );
    const field = configField();
    return AgentManifest.decode(whole.tag(field, WireType.LengthDelimited).bytes(value).finish());
  }

  /** The number of `config`: that of a manifest that has nothing else. */
  function configField(): number {
    const [tag] = AgentManifest.encode(AgentManifest.fromPartial({ config: {} })).finish();
    return (tag ?? 0) >>> 3;
  }

  /** A Struct as bytes: what a Value holds in its field 5. */
  function struct(value: object): Uint8Array {
    const bytes = encodeWith((writer) => writeJson(writer, value as never));
    let at = 1;
    while (((bytes[at] ?? 0) & 0x80) !== 0) at += 1;
    return bytes.subarray(at + 1);
  }

  it('reads a config that was put together by hand', () => {
    expect(manifestFromMessage(withConfig(struct({ a: 1 }))).config).toEqual({ a: 1 });
  });

  it.each([[{ a: 1 }], [[1]], [null]])('refuses a key "__proto__" that would set %j', (value) => {
    for (const config of [Object.fromEntries([['__proto__', value]]), { deep: [Object.fromEntries([['__proto__', value]])] }]) {
      expect(() => manifestFromMessage(withConfig(struct(config)))).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
    expect(({} as { a?: number }).a).toBeUndefined();
  });

  it('refuses a config that is nested more than 100 levels deep', () => {
    let value: unknown = 1;
    for (let i = 0; i < 3_000; i++) value = [value];
    expect(() => manifestFromMessage(AgentManifest.fromPartial({ ...GOOD, config: { value } }))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field: 'manifest.config' })] }),
    );
  });
});
