import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ROOT } from '../support/processes.js';
import { imageUnderTest } from './image-under-test.js';

const { config, layers, layersAgain, pristine, compressedBytes, arguments: built } = imageUnderTest();
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly devDependencies: Readonly<Record<string, string>>;
};

const files = readdirSync(pristine, { recursive: true, withFileTypes: true }).map((entry) => {
  const path = join(entry.parentPath, entry.name);
  return { path: `/${relative(pristine, path)}`, stats: lstatSync(path) };
});
const regular = files.filter(({ stats }) => stats.isFile());

describe('what the image is', () => {
  test('takes at most 200 MB unpacked, and less than 70 MB on its way', () => {
    const bytes = regular.reduce((sum, { stats }) => sum + stats.size, 0);
    expect(bytes).toBeLessThan(200e6);
    expect(bytes).toBeGreaterThan(100e6);
    expect(compressedBytes).toBeLessThan(70e6);
  });

  test('runs the command as a user with a number and without rights', () => {
    expect(config.User).toBe('10001:10001');
    expect(config.Entrypoint).toEqual(['troupe']);
    expect(config.Cmd).toEqual(['--help']);
  });

  test('listens on all addresses, and says on which ports', () => {
    expect(config.Env).toEqual(
      expect.arrayContaining([
        'TROUPE_HOST=0.0.0.0',
        'NODE_ENV=production',
        'TROUPE_OPS_PORT=9464',
        'PATH=/usr/local/bin:/usr/bin',
      ]),
    );
    expect(Object.keys(config.ExposedPorts).sort()).toEqual(['8000/tcp', '8080/tcp', '8765/tcp', '9464/tcp']);
  });

  test('has a health check that needs no shell', () => {
    expect(config.Healthcheck.Test).toEqual(['CMD', 'node', '/opt/troupe/dist/src/app/probe.js', '/health']);
  });

  test('says what it was made of', () => {
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'Troupe',
      'org.opencontainers.image.version': manifest.version,
      'org.opencontainers.image.revision': built.REVISION,
      'org.opencontainers.image.source': built.SOURCE,
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
    expect(built.REVISION).toMatch(/^[0-9a-f]{40}(-dirty)?$|^unknown$/);
  });

  test('comes out the same when it is built again', () => {
    expect(layersAgain).toEqual(layers);
  });
});

describe('what is in the image', () => {
  test('has nothing that runs besides node, env, their libraries and the command', () => {
    const runs = regular.filter(({ stats }) => (stats.mode & 0o111) !== 0).map(({ path }) => path);
    expect(runs.filter((path) => !/^\/lib(64)?\/.*\.so[.\d]*$/.test(path)).sort()).toEqual([
      '/opt/troupe/dist/src/app/main.js',
      '/usr/bin/env',
      '/usr/local/bin/node',
    ]);
  });

  test('has no file that gives rights, and none that its user may change', () => {
    expect(files.filter(({ stats }) => stats.isFile() && (stats.mode & 0o6000) !== 0)).toEqual([]);
    const owned = files.filter(({ stats }) => stats.uid !== 0 || stats.gid !== 0);
    expect(owned.map(({ path }) => path)).toEqual(['/data']);
    const writable = files.filter(({ stats }) => !stats.isSymbolicLink() && (stats.mode & 0o022) !== 0);
    expect(writable.map(({ path }) => path)).toEqual(['/tmp']);
  });

  test('has no development dependency', () => {
    const modules = '/opt/troupe/node_modules/';
    const installed = new Set(files.filter(({ path }) => path.startsWith(modules)).map(({ path }) => path.slice(modules.length)));
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>>;
    };
    const development = Object.entries(lock.packages).filter(
      ([path, { dev }]) => path.startsWith('node_modules/') && dev === true,
    );
    expect(development.length).toBeGreaterThan(100);
    for (const [path] of development) expect(installed).not.toContain(path.slice('node_modules/'.length));
    expect(installed).toContain('@grpc/grpc-js/package.json');
  });

  test('holds code and licences, and neither sources nor tests nor what only compilers read', () => {
    const own = regular
      .filter(({ path }) => path.startsWith('/opt/troupe/'))
      .map(({ path }) => path.slice('/opt/troupe/'.length));
    expect(own).toEqual(expect.arrayContaining(['package.json', 'LICENSE', 'dist/src/app/main.js', 'examples/agents/hello.mjs']));
    expect(own.filter((path) => /\.map$|\.[cm]?tsx?$/.test(path))).toEqual([]);
    expect(own.filter((path) => /\.md$/.test(path) && !/licen[cs]e/i.test(path))).toEqual([]);
    const top = new Set(own.map((path) => path.split('/')[0]));
    expect([...top].sort()).toEqual(['LICENSE', 'dist', 'examples', 'node_modules', 'package.json']);
    expect(readdirSync(join(pristine, 'opt/troupe/dist')).sort()).toEqual(['examples', 'src']);
  });

  test('tells scanners which packages of Debian its libraries are from', () => {
    const status = readFileSync(join(pristine, 'var/lib/dpkg/status.d/libc6'), 'utf8');
    expect(status).toMatch(/^Package: libc6$/m);
    expect(status).toMatch(/^Version: \d/m);
    expect(readFileSync(join(pristine, 'etc/os-release'), 'utf8')).toMatch(/^ID=debian$/m);
  });

  test('keeps no trace of the registry of npm and the certificates that it was built with', () => {
    const names = files.map(({ path }) => path);
    expect(names.filter((path) => /npmrc|\/root\/|\.npm(\/|$)|\/run\//.test(path))).toEqual([]);
  });
});
