import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { versions } from '../../scripts/lib/versions.mjs';
import { cleanUp } from '../support/clean-up.js';
import { ROOT } from '../support/processes.js';

/** `make release` in a repository of its own. */

const CHART = 'apiVersion: v2\nname: troupe\nversion: 0.1.0\nappVersion: "0.1.0"\nkubeVersion: ">=1.30.0-0"\n';
const NODE = 'labels:\n  app.kubernetes.io/version: "0.1.0"\nimage: example.org/troupe:0.1.0\nother: example.org/etcd:0.1.0\n';
const COMPOSE =
  'services:\n  node:\n    image: example.org/troupe:0.1.0\n    args:\n      VERSION: 0.1.0\n  etcd:\n    image: example.org/etcd:0.1.0\n';
const CHANGELOG = '# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-03-01\n\n### Added\n\n- More.\n';

let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'troupe-release-')));
  cleanUp(() => rmSync(root, { recursive: true, force: true }));
  for (const path of ['scripts', 'proto', 'buf.yaml', 'package.json', 'package-lock.json'])
    cpSync(join(ROOT, path), join(root, path), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'), 'dir');
  for (const folder of ['k8s/chart', 'k8s/base', 'releases']) mkdirSync(join(root, folder), { recursive: true });
  write('k8s/chart/Chart.yaml', CHART);
  write('k8s/base/node.yaml', NODE);
  write('docker-compose.yml', COMPOSE);
  write('CHANGELOG.md', CHANGELOG);
  write('.gitignore', 'node_modules\n');
  git('init', '--quiet', '--initial-branch', 'main');
  git('config', 'user.name', 'A Tester');
  git('config', 'user.email', 'tester@example.org');
  git('add', '.');
  git('commit', '--quiet', '--message', 'Everything');
});

const write = (path: string, text: string) => writeFileSync(join(root, path), text);
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const git = (...args: readonly string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();

function release(version: string): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/release.mjs', version], {
    cwd: root,
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

describe('a release', () => {
  it('sets the version everywhere, writes the descriptor, commits and tags', () => {
    const { code, stdout, stderr } = release('0.2.0');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('npm publish');
    expect(new Set(versions(root).map(({ version }) => version))).toEqual(new Set(['0.2.0']));
    expect(read('k8s/chart/Chart.yaml')).toBe(CHART.replaceAll('0.1.0', '0.2.0'));
    expect(read('k8s/base/node.yaml')).toBe(NODE.replace('"0.1.0"', '"0.2.0"').replace('troupe:0.1.0', 'troupe:0.2.0'));
    expect(read('docker-compose.yml')).toContain('etcd:0.1.0');
    expect(JSON.parse(read('package-lock.json'))).toMatchObject({ version: '0.2.0', packages: { '': { version: '0.2.0' } } });
    expect(git('tag', '--list')).toBe('v0.2.0');
    expect(git('show', '--no-patch', '--format=%s', 'v0.2.0^{commit}')).toBe('Release 0.2.0');
    expect(git('status', '--porcelain')).toBe('');
    expect(existsSync(join(root, 'releases/v0.2.0.binpb'))).toBe(true);
  });

  it('is made once, and never of an older version', () => {
    expect(release('0.2.0').code).toBe(0);
    expect(release('0.2.0')).toMatchObject({ code: 1, stderr: expect.stringContaining('must be newer than 0.2.0') });
    expect(release('0.1.9')).toMatchObject({ code: 1, stderr: expect.stringContaining('must be newer than 0.2.0') });
  });

  it('is refused where something stands in its way, and then changes nothing', () => {
    const head = git('rev-parse', 'HEAD');
    const refused = (version: string, why: string) =>
      expect(release(version)).toMatchObject({ code: 1, stderr: expect.stringContaining(why) });
    refused('', 'VERSION=: must be a version such as 1.2.3');
    refused('v0.2.0', 'VERSION=v0.2.0: must be a version such as 1.2.3');
    refused('0.3.0', 'CHANGELOG.md has no entry "## [0.3.0] - YYYY-MM-DD"');
    write('notes', 'x');
    refused('0.2.0', 'there are changes that are not committed:\n?? notes');
    rmSync(join(root, 'notes'));
    git('switch', '--quiet', '--create', 'side');
    refused('0.2.0', 'this is the branch "side"; releases are made of main');
    expect({ head: git('rev-parse', 'HEAD'), tags: git('tag', '--list') }).toEqual({ head, tags: '' });
  });

  it('is refused when a contract breaks the release before', () => {
    expect(release('0.2.0').code).toBe(0);
    write('CHANGELOG.md', CHANGELOG.replace('0.2.0', '0.3.0'));
    const task = read('proto/troupe/v1/tasks.proto');
    write('proto/troupe/v1/tasks.proto', task.replace('rpc Run(', 'rpc Execute('));
    git('commit', '--quiet', '--all', '--message', 'Another name');
    const { code, stderr } = release('0.3.0');
    expect(code).toBe(1);
    expect(stderr).toMatch(/the contracts break releases\/v0\.2\.0\.binpb:\n.*RPC "Run"/);
  });
});
