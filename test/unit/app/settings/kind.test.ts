import { describe, expect, test } from '@jest/globals';
import { SETTINGS } from '../../../../src/app/settings/catalogue.js';
import type { Kind } from '../../../../src/app/settings/kind.js';

const kindOf = (key: keyof typeof SETTINGS): Kind<unknown> => SETTINGS[key].kind as Kind<unknown>;

describe('a flag or a variable', () => {
  test.each<[keyof typeof SETTINGS, string, unknown]>([
    ['port', '0', 0],
    ['port', '65535', 65_535],
    ['opsPort', 'off', 'off'],
    ['opsPort', '9464', 9464],
    ['traceRatio', '0', 0],
    ['traceRatio', '1', 1],
    ['traceRatio', '.5', 0.5],
    ['traceRatio', '1e-3', 0.001],
    ['metrics', 'TRUE', true],
    ['metrics', '1', true],
    ['metrics', 'off', false],
    ['host', '0.0.0.0', '0.0.0.0'],
    ['host', '::', '::'],
    ['host', 'fe80::1%eth0', 'fe80::1%eth0'],
    ['advertise', '10.0.0.7', '10.0.0.7'],
    ['otlpEndpoint', 'http://collector:80', 'http://collector:80'],
    ['registry', 'a:1, [::1]:2', ['a:1', '[::1]:2']],
    ['etcd', 'https://etcd-0:2379/,etcd-1:2379', ['https://etcd-0:2379/', 'etcd-1:2379']],
    ['agents', './a.mjs, pkg', ['./a.mjs', 'pkg']],
    ['deployKinds', 'greeter, a.b', ['greeter', 'a.b']],
    ['otlpEndpoint', 'http://127.0.0.1:4317/', 'http://127.0.0.1:4317'],
    ['otlpEndpoint', 'https://collector', 'https://collector'],
    ['otlpEndpoint', 'HTTP://[::1]:4317', 'http://[::1]:4317'],
    ['prefix', '/troupe/eu', '/troupe/eu'],
    ['strategy', 'peak_ewma', 'peak_ewma'],
  ])('%s may be %j', (key, text, value) => {
    expect(kindOf(key).parse(text)).toEqual({ ok: true, value });
  });

  test.each<[keyof typeof SETTINGS, string]>([
    ['port', '65536'],
    ['deployKinds', 'Greeter'],
    ['deployKinds', 'greeter,'],
    ['port', '-1'],
    ['port', '8080 '],
    ['port', '0x50'],
    ['port', ''],
    ['opsPort', 'none'],
    ['opsPort', '70000'],
    ['traceRatio', '1.01'],
    ['traceRatio', '-0.1'],
    ['traceRatio', '1%'],
    ['traceRatio', 'NaN'],
    ['metrics', 'maybe'],
    ['host', 'a:80'],
    ['host', 'http://a'],
    ['host', ''],
    ['registry', 'a'],
    ['registry', 'a:1,'],
    ['registry', 'a:70000'],
    ['registry', 'a:0'],
    ['etcd', 'http://etcd:0'],
    ['otlpEndpoint', 'http://a:0'],
    ['advertise', '0.0.0.0'],
    ['advertise', '[::]'],
    ['advertise', 'a:80'],
    ['etcd', 'http://user:pw@etcd:2379'],
    ['agents', 'a,,b'],
    ['otlpEndpoint', '127.0.0.1:4317'],
    ['otlpEndpoint', 'ftp://a:1'],
    ['otlpEndpoint', 'http:a:1'],
    ['otlpEndpoint', 'http://a'],
    ['otlpEndpoint', 'http://a:99999'],
    ['otlpEndpoint', 'http://a:1?b'],
    ['otlpEndpoint', 'http://a:4318/v1/traces'],
    ['otlpEndpoint', 'http://user:pw@a:1'],
    ['prefix', 'troupe'],
    ['prefix', '/troupe/'],
    ['prefix', '/a//b'],
    ['prefix', `/${'x'.repeat(200)}`],
    ['id', 'A'],
    ['strategy', 'ROUND_ROBIN'],
    ['etcdPassword', 'a\nb'],
  ])('%s may not be %j', (key, text) => {
    const { allowed } = kindOf(key);
    expect(kindOf(key).parse(text)).toEqual({ ok: false, why: expect.stringContaining(allowed) });
  });
});

describe('a file', () => {
  test.each<[keyof typeof SETTINGS, unknown, unknown]>([
    ['port', 8080, 8080],
    ['port', '8080', 8080],
    ['opsPort', 'off', 'off'],
    ['traceRatio', 0.5, 0.5],
    ['metrics', false, false],
    ['metrics', 'false', false],
    ['registry', ['a:1', 'b:2'], ['a:1', 'b:2']],
    ['registry', 'a:1,b:2', ['a:1', 'b:2']],
  ])('gives %s by %j', (key, given, value) => {
    expect(kindOf(key).read(given)).toEqual({ ok: true, value });
  });

  test.each<[keyof typeof SETTINGS, unknown]>([
    ['port', 8080.5],
    ['port', true],
    ['port', [8080]],
    ['opsPort', false],
    ['metrics', 0],
    ['registry', []],
    ['registry', ['a:1', 2]],
    ['registry', { a: 1 }],
    ['id', {}],
  ])('does not give %s by %j', (key, given) => {
    expect(kindOf(key).read(given)).toMatchObject({ ok: false });
  });

  test('does not say so of what quotes would not help', () => {
    expect(kindOf('port').read(true)).toEqual({ ok: false, why: 'it must be a whole number from 0 to 65535' });
    expect(kindOf('opsPort').read(false)).toEqual({ ok: false, why: 'it must be a whole number from 0 to 65535, or off' });
  });

  test('must put into quotes what is text and looks like a number', () => {
    expect(kindOf('zone').read(1.1)).toEqual({ ok: false, why: expect.stringMatching(/as a string: put it in quotes$/) });
  });
});
