import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { parseConfigFile } from '../../../../src/app/settings/config-file.js';

const parse = (text: string) => parseConfigFile('t.yaml', text);
const entry = (key: string, value: unknown, line: number, section?: string) => ({ key, value, line, section });

describe('a configuration file', () => {
  it('is a map of settings in YAML, each with its line', () => {
    const { entries, problems } = parse(
      '# all\nzone: b\nport: 8080\n\nregistry:\n  - a:1\n  - b:2\nmetrics: false\nopsPort: off\n',
    );
    expect(problems).toEqual([]);
    expect(entries).toEqual([
      entry('zone', 'b', 2),
      entry('port', 8080, 3),
      entry('registry', ['a:1', 'b:2'], 5),
      entry('metrics', false, 8),
      entry('opsPort', 'off', 9),
    ]);
  });

  it('may be JSON', () => {
    const { entries, problems } = parse('{\n\t"zone": "b",\n\t"node": {"weight": 2}\n}\n');
    expect({ entries, problems }).toEqual({ entries: [entry('zone', 'b', 2), entry('weight', 2, 3, 'node')], problems: [] });
  });

  it('has sections for roles, registry among them', () => {
    const { entries, problems } = parse('registry:\n  store: etcd\nnode:\n  registry: [a:1]\ngateway:\ndev: {nodes: 2}\n');
    expect(problems).toEqual([]);
    expect(entries).toEqual([
      entry('store', 'etcd', 2, 'registry'),
      entry('registry', ['a:1'], 4, 'node'),
      entry('nodes', 2, 6, 'dev'),
    ]);
  });

  test.each(['', '\n# nothing\n', '---\n', '{}', 'zone:\nhost: ""\n'])('may say nothing: %j', (text) => {
    expect(parse(text)).toEqual({ path: 't.yaml', entries: [], problems: [] });
  });

  it('may use anchors', () => {
    expect(parse('node:\n  zone: &z eu\ngateway:\n  zone: *z\n').entries).toEqual([
      entry('zone', 'eu', 2, 'node'),
      entry('zone', 'eu', 4, 'gateway'),
    ]);
  });

  it('may have an alias of a section, or of a list', () => {
    expect(parse('node: &member\n  registry: &all [a:1]\n  zone: eu\ngateway: *member\n')).toEqual({
      path: 't.yaml',
      entries: [
        entry('registry', ['a:1'], 2, 'node'),
        entry('zone', 'eu', 3, 'node'),
        entry('registry', ['a:1'], 2, 'gateway'),
        entry('zone', 'eu', 3, 'gateway'),
      ],
      problems: [],
    });
    expect(parse('node:\n  registry: &all [a:1]\nregistry: *all\n').entries).toEqual([
      entry('registry', ['a:1'], 2, 'node'),
      entry('registry', ['a:1'], 3),
    ]);
    expect(parse('zone: &none\nid: *none\nnode: *none\n')).toEqual({ path: 't.yaml', entries: [], problems: [] });
  });
});

describe('what is wrong is told with file, line, key, value and what is allowed:', () => {
  test.each<[string, string, string]>([
    ['an unknown key', 'zone: a\nloglevel: info', 't.yaml:2: unknown key loglevel; did you mean logLevel?'],
    ['an unknown key that comes near none', 'colour: red', 't.yaml:1: unknown key colour'],
    ['an unknown section', 'nod:\n  zone: a', 't.yaml:1: unknown key nod; did you mean node?'],
    ['an unknown key of a section', 'node:\n  wieght: 2', 't.yaml:2: unknown key node.wieght; did you mean weight?'],
    [
      'a setting of another role in a section',
      'gateway:\n  dataDir: x',
      't.yaml:2: gateway.dataDir: a gateway has no such setting; dataDir is for node',
    ],
    ['a section in a section', 'node:\n  gateway: {}', 't.yaml:2: unknown key node.gateway'],
    ['a file in a file', 'config: other.yaml', 't.yaml:1: config cannot be set by a file'],
    ['a wrong number', 'zone: a\nport: 99999', 't.yaml:2: port is 99999: it must be a whole number from 0 to 65535'],
    ['a wrong choice', 'store: redis', 't.yaml:1: store is "redis": it must be one of memory, etcd'],
    [
      'a wrong value in a section',
      'node:\n  weight: many',
      't.yaml:2: node.weight is "many": it must be a whole number from 1 to 1000',
    ],
    [
      'a list where there is none',
      'host: [a]',
      't.yaml:1: host is ["a"]: it must be a host name or an IP address, without a port',
    ],
    [
      'a list where there is text',
      'etcdUser: [a]',
      't.yaml:1: etcdUser is ["a"]: it must be text, not empty and without control characters',
    ],
    ['no end', 'traceRatio: .inf', 't.yaml:1: traceRatio is Infinity: it must be a number from 0 to 1, such as 0.01'],
    [
      'no end in a list',
      'registry: [.inf]',
      't.yaml:1: registry is ["Infinity"]: it must be one or more of host:port, separated by commas, such as 127.0.0.1:8000, or a list of them',
    ],
    [
      'a name that YAML reads as a number',
      'id: 12',
      't.yaml:1: id is 12: it must be 1 to 63 of a-z, 0-9, ".", "_", "-", and start with a letter or digit, as a string: put it in quotes',
    ],
    ['a key that is there twice', 'zone: a\nport: 1\nzone: b', 't.yaml:3: zone is there twice'],
    ['a key that is there twice, once in quotes', 'zone: a\n"zone": b', 't.yaml:2: zone is there twice'],
    ['a key that is there twice in JSON', '{"zone": "a",\n "zone": "b"}', 't.yaml:2: zone is there twice'],
    ['a key that is there twice in a section', 'node:\n  port: 1\n  port: 2', 't.yaml:3: port is there twice'],
    [
      'a map to be merged',
      'node: &n\n  zone: a\ngateway:\n  <<: *n',
      't.yaml:4: gateway.<<: maps are not merged; put what several roles share above their sections',
    ],
    [
      'several maps to be merged',
      'zone: a\n<<: [{ port: 1 }, { port: 2 }]',
      't.yaml:2: <<: maps are not merged; put what several roles share above their sections',
    ],
    [
      'a map to be merged, in the YAML that had that',
      '%YAML 1.1\n---\n<<: { port: 1 }',
      't.yaml:3: <<: maps are not merged; put what several roles share above their sections',
    ],
    [
      'an alias of a section for a role that has no such setting',
      'node: &n\n  weight: 2\ngateway: *n',
      't.yaml:2: gateway.weight: a gateway has no such setting; weight is for node',
    ],
    ['an alias as a key', 'zone: &z id\n*z : a', 't.yaml:2: unknown key *z'],
    ['an alias of what it is in', 'node: &n\n  node: *n', 't.yaml:2: unknown key node.node'],
    [
      'the section registry beside the setting',
      'registry: a:1\nregistry:\n  store: etcd',
      't.yaml:2: registry is there twice; next to the section, give the addresses of registries in the sections node and gateway',
    ],
    ['a section that is none', 'node: 3', 't.yaml:1: node: must be a map of settings of that role'],
    ['a list of settings', '- zone: a', 't.yaml:1: it must be a map of settings, such as "zone: eu-1"'],
    ['plain text', 'hello', 't.yaml:1: it must be a map of settings, such as "zone: eu-1"'],
  ])('%s', (_, text, problem) => {
    expect(parse(text).problems).toEqual([problem]);
  });

  test.each(['zone: [a', 'zone: a\n port: b', '{"zone": "a",, }', 'a: b\n---\nc: d', 'zone: !!js/function x', 'zone: *nowhere'])(
    'what is no YAML: %j',
    (text) => {
      const { problems } = parse(text);
      expect(problems.length).toBeGreaterThan(0);
      for (const problem of problems) expect(problem).toMatch(/^t\.yaml:\d+: \S/);
    },
  );

  it('all of it at once', () => {
    expect(parse('port: x\nweight: 0\ncolour: red\n').problems).toHaveLength(3);
  });

  it('never a secret', () => {
    const { problems } = parse('etcdPassword: 12345\nregistry:\n  etcdPassword: [hunter2]\n');
    expect(problems).toHaveLength(2);
    expect(problems.join('\n')).not.toMatch(/12345|hunter2/);
  });

  it('not more of a value than one can read', () => {
    expect(parse(`zone: ${'x'.repeat(5_000)}`).problems.join()).toHaveLength(
      't.yaml:1: zone is '.length +
        81 +
        ': it must be 1 to 63 of a-z, 0-9, ".", "_", "-", and start with a letter or digit'.length,
    );
  });

  it('aliases of aliases of aliases', () => {
    const levels = Array.from({ length: 12 }, (_, index) => {
      const one = index === 0 ? 'x' : `*a${index - 1}`;
      return `- &a${index} [${Array.from({ length: 10 }, () => one).join(', ')}]`;
    });
    expect(parse(`agents:\n${levels.join('\n')}\n`).problems).toEqual([
      't.yaml:1: agents is in itself, or has too many aliases of aliases',
    ]);
  });

  it('a list that is in itself', () => {
    expect(parse('agents: &a [*a]').problems).toEqual(['t.yaml:1: agents is in itself, or has too many aliases of aliases']);
  });

  it('a second document, which would not count', () => {
    expect(parse('zone: a\n---\nzone: b\n').problems).toEqual(['t.yaml:2: a second document begins here; a file holds one']);
  });

  it('not each of thousands of brackets', () => {
    expect(parse('['.repeat(20_000)).problems.length).toBeLessThanOrEqual(10);
  });

  it('a file that is too large', () => {
    expect(parse(`# ${'x'.repeat(1024 * 1024)}`).problems).toEqual(['t.yaml: it must be at most 1 MiB']);
  });
});

test('no text makes it throw', () => {
  const keys = fc.constantFrom('zone', 'port', 'node', 'registry', 'etcdPassword', '<<', '? a', '- x', '&a', '*a', '!!binary');
  const piece = fc.oneof(
    keys,
    fc.constantFrom(': ', ':\n  ', '\n', '{', '}', '[', ']', ', ', '"', '\t'),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const { entries, problems } = parse(pieces.join(''));
      for (const problem of problems) expect(problem).toMatch(/^t\.yaml:\d+: /);
      for (const { line } of entries) expect(line).toBeGreaterThan(0);
    }),
    { numRuns: 500 },
  );
});
