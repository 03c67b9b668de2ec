import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { defaultOf, SETTING_OF, settingsOf } from '../../../../src/app/settings/catalogue.js';
import { parseConfigFile } from '../../../../src/app/settings/config-file.js';
import { type FlagValue, resolveSettings, valuesOf } from '../../../../src/app/settings/resolve.js';
import { ROLES, type Role } from '../../../../src/app/settings/setting.js';

const resolve = (
  role: Role,
  env: Readonly<Record<string, string>> = {},
  { file, flags = {} }: { readonly file?: string; readonly flags?: Readonly<Record<string, FlagValue>> } = {},
) => resolveSettings(role, { flags, env, file: file === undefined ? undefined : parseConfigFile('t.yaml', file) });

/** Two values of each kind, as texts. */
const SAMPLES: Readonly<Record<string, readonly [string, string]>> = {
  config: ['a.yaml', 'b.yaml'],
  agents: ['./a.mjs', './b.mjs,./c.mjs'],
  deployKinds: ['greeter', 'greeter,counter'],
  deploy: ['true', 'false'],
  nodes: ['1', '2'],
  registry: ['a:1', 'b:2,c:3'],
  host: ['127.0.0.1', '::'],
  port: ['1', '2'],
  nodePort: ['1', '2'],
  registryPort: ['1', '2'],
  advertise: ['a', 'b'],
  id: ['a', 'b'],
  zone: ['a', 'b'],
  weight: ['1', '2'],
  dataDir: ['a', 'b'],
  drainGrace: ['1', '2'],
  leaseTtl: ['3', '4'],
  strategy: ['random', 'round_robin'],
  policy: ['a.json', 'b.json'],
  preferZone: ['true', 'false'],
  store: ['memory', 'etcd'],
  etcd: ['a:1', 'b:2'],
  etcdUser: ['a', 'b'],
  etcdPassword: ['a', 'b'],
  etcdPasswordFile: ['a', 'b'],
  etcdCa: ['a', 'b'],
  etcdCert: ['a', 'b'],
  etcdKey: ['a', 'b'],
  prefix: ['/a', '/b'],
  opsPort: ['off', '0'],
  metrics: ['true', 'false'],
  otlpEndpoint: ['http://a:1', 'https://b:2'],
  traceRatio: ['0', '0.5'],
  logLevel: ['debug', 'warn'],
};
/** What nothing can be, unless it may be any text. */
const WRONG = 'a b\u0007';

const isNegated = (key: string) => SETTING_OF.get(key)?.flag.startsWith('--no-') === true;
const negated = (text: string) => String(text !== 'true');

test('there are samples of every setting', () => {
  expect(Object.keys(SAMPLES).sort()).toEqual([...SETTING_OF.keys()].sort());
});

describe.each(ROLES)('of %s', (role) => {
  test.each(settingsOf(role))('%s: the strongest source counts, and the others are known', (key, setting) => {
    const [one, other] = SAMPLES[key] ?? ['', ''];
    const maybe = fc.constantFrom(undefined, one, other);
    fc.assert(
      fc.property(maybe, fc.array(maybe, { minLength: 2, maxLength: 2 }), maybe, maybe, (flag, variables, section, flat) => {
        // A flag that says "not" has nothing else to say.
        const byFlag = isNegated(key) && flag !== undefined ? 'false' : flag;
        const env = setting.env.map((_, index) => variables[index]);
        const inFile = setting.notInFile ? [] : [section, flat];
        const said = [byFlag, ...env, ...inFile].filter((text) => text !== undefined);
        const lines = [
          ...(inFile[1] === undefined ? [] : [`${key}: "${inFile[1]}"`]),
          ...(inFile[0] === undefined ? [] : [`${role}: {${key}: "${inFile[0]}"}`]),
        ];
        const { settings } = resolve(
          role,
          Object.fromEntries(
            setting.env.flatMap((name, index) => {
              const text = env[index];
              return text === undefined ? [] : [[name, isNegated(key) ? negated(text) : text]];
            }),
          ),
          { file: lines.join('\n'), flags: byFlag === undefined ? {} : { [key]: isNegated(key) ? true : [byFlag] } },
        );
        const found = settings.find((each) => each.key === key);
        const [first, ...rest] = said;
        if (found === undefined || first === undefined) {
          expect(found).toMatchObject({ source: { kind: 'default' }, overrode: [] });
          expect(found?.value).toEqual(defaultOf(setting, role));
          return;
        }
        const kinds = [flag && 'flag', ...env.map((text) => text && 'env'), ...inFile.map((text) => text && 'file')];
        expect(found.source.kind).toBe(kinds.find((kind) => kind !== undefined));
        expect(setting.kind.show(found.value)).toBe(first);
        expect(found.overrode.map(({ value }) => setting.kind.show(value))).toEqual(rest.filter((text) => text !== first));
      }),
      { numRuns: 30 },
    );
  });

  test.each(settingsOf(role).flatMap(([key, { env }]) => env.map((name) => ({ key, name }))))(
    'a malformed $name is told with its value and what is allowed',
    ({ key, name }) => {
      const setting = SETTING_OF.get(key);
      const { problems } = resolve(role, { [name]: WRONG });
      const shown = setting?.secret ? '***' : JSON.stringify(WRONG);
      expect(problems).toHaveLength(1);
      expect(problems[0]?.startsWith(`${name} is ${shown}: `)).toBe(true);
      expect(problems[0]).toContain(setting?.kind.allowed);
    },
  );

  it('takes an empty variable for none', () => {
    const empty = Object.fromEntries(settingsOf(role).flatMap(([, { env }]) => env.map((name) => [name, ''])));
    expect(resolve(role, empty)).toEqual(resolve(role));
  });
});

describe('the settings of a role', () => {
  it('are its values when nothing is wrong', () => {
    const node = resolveSettings('node', { flags: { metrics: true }, env: { TROUPE_AGENTS: './a.mjs,pkg' } });
    expect(valuesOf(node)).toMatchObject({ metrics: false, agents: ['./a.mjs', 'pkg'], port: 8765, opsPort: 9464 });
    expect(node.settings.find(({ key }) => key === 'agents')?.source).toEqual({ kind: 'env', name: 'TROUPE_AGENTS' });
  });

  it('have no values while something is wrong', () => {
    expect(() => valuesOf(resolve('node', { TROUPE_PORT: 'x' }))).toThrow(RangeError);
  });

  it('do not include those of other roles, be they flat in the file or in the environment', () => {
    const gateway = resolve('gateway', { TROUPE_DATA_DIR: 'x' }, { file: 'weight: 2\nstore: etcd\nnode: {port: 1}' });
    expect(gateway).toMatchObject({ problems: [], warnings: [] });
    expect(gateway.settings.filter(({ source }) => source.kind !== 'default')).toEqual([]);
  });

  it('repeat what is wrong with the file, beside what is wrong elsewhere', () => {
    const { problems } = resolve('node', { TROUPE_ZONE: 'B' }, { file: 'colour: red', flags: { port: ['x'] } });
    expect(problems).toEqual([
      '--port is "x": it must be a whole number from 0 to 65535',
      expect.stringMatching(/^TROUPE_ZONE is "B": /),
      't.yaml:1: unknown key colour',
    ]);
  });

  it('are refused for a malformed variable also where a flag overrules it', () => {
    expect(resolve('node', { TROUPE_PORT: 'x' }, { flags: { port: ['1'] } }).problems).toHaveLength(1);
  });

  it('come from a variable that others share only where nothing else says so', () => {
    const grpc = { OTEL_EXPORTER_OTLP_ENDPOINT: 'grpc://collector' };
    expect(resolve('node', grpc).problems).toHaveLength(1);
    expect(resolve('node', { ...grpc, TROUPE_OTLP_ENDPOINT: 'http://a:1' }).problems).toEqual([]);
  });

  it('never show credentials of a URL', () => {
    const { problems } = resolve('node', { TROUPE_OTLP_ENDPOINT: 'http://ada:hunter2@a:1' });
    expect(problems).toEqual([expect.stringMatching(/^TROUPE_OTLP_ENDPOINT is "http:\/\/\*\*\*@a:1": /)]);
  });
});

describe('ports of one role', () => {
  const flags = (given: Readonly<Record<string, string>>) => ({
    flags: Object.fromEntries(Object.entries(given).map(([key, value]) => [key, [value]])),
  });
  test.each<[Role, Readonly<Record<string, string>>, string]>([
    [
      'gateway',
      { port: '18999', opsPort: '18999' },
      '--port and --ops-port would both listen on 18999; give one of them another port',
    ],
    ['node', { port: '9464' }, '--port and --ops-port would both listen on 9464; give one of them another port'],
    ['dev', { port: '8000' }, '--port and --registry-port would both listen on 8000; give one of them another port'],
    ['dev', { port: '8767' }, '--port and --node-port would both listen on 8767; give one of them another port'],
  ])('must not be the same: of %s by %j', (role, given, problem) => {
    expect(resolve(role, {}, flags(given)).problems).toEqual([problem]);
  });

  test.each<[Role, Readonly<Record<string, string>>]>([
    ['gateway', { port: '0', opsPort: '0' }],
    ['gateway', { port: '9464', opsPort: 'off' }],
    ['dev', { port: '0', nodePort: '0', registryPort: '0' }],
    ['dev', { port: '8767', nodes: '2' }],
  ])('may be free ones, or none: of %s by %j', (role, given) => {
    expect(resolve(role, {}, flags(given)).problems).toEqual([]);
  });
});

describe('etcd', () => {
  const etcd = { TROUPE_STORE: 'etcd' };
  test.each<[string, Readonly<Record<string, string>>, readonly string[]]>([
    [
      'endpoints without the store',
      { TROUPE_ETCD_ENDPOINTS: 'a:1' },
      ['--etcd (TROUPE_ETCD_ENDPOINTS) is given, but --store is memory; add --store etcd'],
    ],
    [
      'a user alone',
      { ...etcd, TROUPE_ETCD_USER: 'a' },
      ['--etcd-user (TROUPE_ETCD_USER) needs --etcd-password or --etcd-password-file: they must be given together'],
    ],
    [
      'a password alone',
      { ...etcd, TROUPE_ETCD_PASSWORD: 'hunter2' },
      ['--etcd-password (TROUPE_ETCD_PASSWORD) needs --etcd-user: they must be given together'],
    ],
    [
      'a password file alone',
      { ...etcd, TROUPE_ETCD_PASSWORD_FILE: 'x' },
      ['--etcd-password-file (TROUPE_ETCD_PASSWORD_FILE) needs --etcd-user: they must be given together'],
    ],
    [
      'two passwords',
      { ...etcd, TROUPE_ETCD_USER: 'a', TROUPE_ETCD_PASSWORD: 'hunter2', TROUPE_ETCD_PASSWORD_FILE: 'x' },
      [
        '--etcd-password (TROUPE_ETCD_PASSWORD) and --etcd-password-file (TROUPE_ETCD_PASSWORD_FILE) are both given; give one of them',
      ],
    ],
    [
      'a certificate without its key',
      { ...etcd, TROUPE_ETCD_CA: 'x', TROUPE_ETCD_CERT: 'x' },
      ['--etcd-cert (TROUPE_ETCD_CERT) and --etcd-key must be given together'],
    ],
    [
      'a certificate without an authority',
      { ...etcd, TROUPE_ETCD_KEY: 'x', TROUPE_ETCD_CERT: 'x' },
      ['--etcd-cert (TROUPE_ETCD_CERT) needs --etcd-ca'],
    ],
    [
      'all of it',
      {
        ...etcd,
        TROUPE_ETCD_USER: 'a',
        TROUPE_ETCD_PASSWORD_FILE: 'x',
        TROUPE_ETCD_CA: 'x',
        TROUPE_ETCD_CERT: 'x',
        TROUPE_ETCD_KEY: 'x',
      },
      [],
    ],
    [
      'endpoints with TLS and without',
      { ...etcd, TROUPE_ETCD_ENDPOINTS: 'https://a:1,http://b:1' },
      ['--etcd (TROUPE_ETCD_ENDPOINTS) is "https://a:1,http://b:1": its endpoints must all be https or all http'],
    ],
    [
      'an authority for endpoints without TLS',
      { ...etcd, TROUPE_ETCD_ENDPOINTS: 'http://a:1', TROUPE_ETCD_CA: 'x' },
      ['--etcd (TROUPE_ETCD_ENDPOINTS) is "http://a:1", but --etcd-ca (TROUPE_ETCD_CA) is given: its endpoints must be https'],
    ],
    [
      'an authority, and endpoints that do not say',
      { ...etcd, TROUPE_ETCD_ENDPOINTS: 'https://a:1,b:1', TROUPE_ETCD_CA: 'x' },
      [],
    ],
    ['a user that lies ready for another process', { TROUPE_ETCD_USER: 'a' }, []],
  ])('%s', (_, env, problems) => {
    expect(resolve('registry', env).problems).toEqual(problems);
  });

  it('names the line of a file', () => {
    expect(resolve('registry', {}, { file: 'zone: a\netcd: a:1' }).problems).toEqual([
      '--etcd (t.yaml:2) is given, but --store is memory; add --store etcd',
    ]);
  });
});
