import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { MANIFEST, run, TARBALL } from './installed-package.js';

/** What the package holds: what it needs, and nothing more. */

const EXPECTED = [
  /^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/,
  /^bin\/(troupe|check-node)\.cjs$/,
  // The program, and one file of types: the SDK's.
  /^dist\/src\/[a-z0-9/._-]+\.js$/,
  /^dist\/src\/index\.d\.ts$/,
  // What `troupe dev` and `troupe demo` run unless they are told otherwise.
  /^dist\/examples\/agents\/[a-z0-9/-]+\.js$/,
  /^examples\/data\/[a-z0-9.-]+\.(csv|json|txt|mjs)$/,
  // For clients in other languages; troupe.internal is between processes of Troupe.
  /^proto\/(troupe\/v1|google\/rpc|grpc\/health\/v1|grpc\/reflection\/v1(alpha)?)\/[a-z_]+\.proto$/,
];
const NEEDED = [
  'LICENSE',
  'bin/troupe.cjs',
  'dist/src/index.js',
  'dist/src/index.d.ts',
  'dist/src/app/main.js',
  'dist/examples/agents/index.js',
  'examples/data/sales.csv',
  'proto/troupe/v1/messaging.proto',
];
/** Bytes: about a fifth above what they were when they were measured. */
const BUDGET = { packed: 700_000, unpacked: 3_200_000 };

interface Entry {
  readonly path: string;
  readonly bytes: number;
}

let entries: readonly Entry[] = [];

beforeAll(async () => {
  const { stdout } = await run('tar', ['-tvzf', TARBALL]);
  entries = stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [, , bytes, , , ...path] = line.split(/\s+/);
      return { path: path.join(' ').replace(/^package\//, ''), bytes: Number(bytes) };
    });
});

const paths = () => entries.map(({ path }) => path);
const textOf = async (path: string) => (await run('tar', ['-xzOf', TARBALL, `package/${path}`])).stdout;

describe('the package', () => {
  it('holds nothing but what is expected', () => {
    expect(paths().filter((path) => !EXPECTED.some((pattern) => pattern.test(path)))).toEqual([]);
    expect(paths().filter((path) => path.includes('test') && path.startsWith('dist/src/'))).toEqual([]);
    for (const pattern of EXPECTED) expect(paths().some((path) => pattern.test(path))).toBe(true);
  });

  it('holds what it needs', () => {
    expect(NEEDED.filter((path) => !paths().includes(path))).toEqual([]);
  });

  it('stays within its budget', () => {
    const unpacked = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(readFileSync(TARBALL).length).toBeLessThan(BUDGET.packed);
    expect(unpacked).toBeLessThan(BUDGET.unpacked);
  });

  it('points at no source map that is not there', async () => {
    expect(await textOf('dist/src/index.js')).not.toContain('sourceMappingURL');
    expect(await textOf('dist/src/app/main.js')).not.toContain('sourceMappingURL');
  });

  it('is what the sources give', async () => {
    const hash = (text: string) => createHash('sha256').update(text).digest('hex');
    for (const path of ['README.md', 'CHANGELOG.md', 'LICENSE', 'package.json', 'dist/src/index.js'])
      expect({ path, hash: hash(await textOf(path)) }).toEqual({ path, hash: hash(readFileSync(path, 'utf8')) });
  });

  it("has types that name no generated code, and no package but that of an agent's spans", async () => {
    const types = await textOf('dist/src/index.d.ts');
    const packages = [...types.matchAll(/(?:from |import\()['"]([^'"]+)['"]/g)].map(([, name]) => name);
    expect([...new Set(packages)]).toEqual(['@opentelemetry/api']);
    expect(MANIFEST.dependencies).toHaveProperty(['@opentelemetry/api']);
    expect(types).not.toMatch(/\bMessageFns\b|\bBuffer\b|\bNodeJS\b/);
  });
});

describe('package.json', () => {
  it('says who, what and where', () => {
    for (const field of [
      'description',
      'keywords',
      'license',
      'author',
      'repository',
      'bugs',
      'homepage',
      'engines',
      'sideEffects',
    ])
      expect(MANIFEST).toHaveProperty(field);
    expect(MANIFEST).toMatchObject({ license: 'Apache-2.0', publishConfig: { access: 'public', provenance: true } });
  });

  it('runs nothing on the machine of a user', () => {
    const scripts = Object.keys(MANIFEST.scripts as object);
    expect(scripts.filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual([]);
  });

  it('names every dependency with one version', () => {
    for (const [name, version] of Object.entries(MANIFEST.dependencies))
      expect(`${name} ${version}`).toMatch(/^\S+ \d+\.\d+\.\d+$/);
  });

  it('is right to publint', async () => {
    const tarball = new Uint8Array(readFileSync(TARBALL)).buffer;
    const { messages, pkg } = await publint({ pack: { tarball }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });
});

describe('the packages that come with it', () => {
  interface Locked {
    readonly dev?: boolean;
    readonly hasInstallScript?: boolean;
    readonly license?: string;
  }
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Locked> };
  const shipped = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);

  it('run nothing when they are installed, but for a hint of protobufjs about its version', () => {
    expect(shipped.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path)).toEqual([
      'node_modules/protobufjs',
    ]);
  });

  it('have licences that go with Apache-2.0', () => {
    const others = shipped.filter(
      ([, { license = '' }]) => !/^\(?(MIT|Apache-2\.0|BSD-[23]-Clause|ISC|0BSD)( AND BSD-3-Clause\))?$/.test(license),
    );
    expect(others.map(([path, { license }]) => `${path}: ${license}`)).toEqual([]);
  });
});
