import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { breaking, newestRelease, writeDescriptor } from '../../scripts/lib/contracts.mjs';
import { cleanUp } from '../support/clean-up.js';
import { ROOT } from '../support/processes.js';

/** What is found when a contract changes, against the descriptor of a release. */

let root: string;
let released: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'troupe-contracts-'));
  cleanUp(() => rmSync(root, { recursive: true, force: true }));
  cpSync(join(ROOT, 'proto'), join(root, 'proto'), { recursive: true });
  cpSync(join(ROOT, 'buf.yaml'), join(root, 'buf.yaml'));
  released = join(root, 'v0.1.0.binpb');
  writeDescriptor(released, root);
});

function edit(path: string, from: string | RegExp, to: string): void {
  const file = join(root, 'proto', path);
  const text = readFileSync(file, 'utf8');
  const edited = text.replace(from, to);
  expect(edited).not.toBe(text);
  writeFileSync(file, edited);
}

describe('the contracts against those of a release', () => {
  it('are as they were', () => {
    expect(breaking(released, root)).toEqual([]);
  });

  it('may gain a field', () => {
    edit('troupe/v1/payload.proto', /message Payload \{/, 'message Payload {\n  // A note.\n  string note = 100;');
    expect(breaking(released, root)).toEqual([]);
  });

  it('may not lose a field', () => {
    edit('troupe/v1/task.proto', /\n {2}string task_id = \d+;/, '');
    expect(breaking(released, root).join('\n')).toMatch(/task\.proto.*"task_id".*deleted/);
  });

  it('may not give a field another name: JSON knows it by that', () => {
    edit('troupe/v1/task.proto', /string task_id = /, 'string task_name = ');
    expect(breaking(released, root).join('\n')).toMatch(/task\.proto.*"task_name"/);
  });

  it('may not lose an rpc', () => {
    edit('troupe/v1/tasks.proto', /rpc Run\(/, 'rpc Execute(');
    expect(breaking(released, root).join('\n')).toMatch(/RPC "Run".*deleted/);
  });

  it('may not change what processes of Troupe say to each other, while an upgrade rolls on', () => {
    edit('troupe/internal/v1/link.proto', /LinkPing ping = 3;/, 'string ping = 3;');
    expect(breaking(released, root).join('\n')).toMatch(/internal\/v1\/link\.proto.*"ping"/);
  });

  it('may give an internal field another name', () => {
    edit('troupe/internal/v1/link.proto', /LinkPing ping = 3;/, 'LinkPing beat = 3;');
    expect(breaking(released, root)).toEqual([]);
  });
});

describe('the newest release', () => {
  it('goes by numbers, not by letters', () => {
    const folder = join(root, 'releases');
    mkdirSync(folder);
    for (const version of ['v0.9.0', 'v0.10.0', 'v0.2.11']) writeFileSync(join(folder, `${version}.binpb`), '');
    writeFileSync(join(folder, 'README.md'), '');
    expect(newestRelease(folder)).toBe(join(folder, 'v0.10.0.binpb'));
  });

  it('is none before the first', () => {
    expect(newestRelease(join(root, 'nowhere'))).toBeUndefined();
  });

  it('is here', () => {
    expect(existsSync(newestRelease() ?? '')).toBe(true);
  });
});
