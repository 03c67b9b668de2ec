import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { fileProblems, readPem, readPolicy, readSecret } from '../../../../src/app/settings/named-files.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'troupe-named-'));
});
afterAll(() => rm(folder, { recursive: true }));

const fileOf = async (text: string, name: string) => {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
};

it('a secret is the line that a file holds, without its end', async () => {
  for (const end of ['', '\n', '\r\n']) expect(await readSecret(await fileOf(`hunter 2${end}`, 'secret'))).toBe('hunter 2');
  await expect(readSecret(await fileOf('\n', 'secret'))).rejects.toThrow('it is empty');
});

it('a certificate is what a file holds, and not nothing', async () => {
  expect(await readPem(await fileOf('PEM\n', 'ca.pem'))).toEqual(Buffer.from('PEM\n'));
  await expect(readPem(await fileOf('', 'ca.pem'))).rejects.toThrow('it is empty');
  await expect(readPem(folder)).rejects.toThrow('EISDIR');
});

it('none is read without end', async () => {
  await expect(readSecret('/dev/zero')).rejects.toThrow('it must be at most 1 MiB');
  await expect(readPolicy('/dev/zero')).rejects.toThrow('it must be at most 64 MiB');
});

it('a policy is read in full', async () => {
  const { perCaller } = await readPolicy(await fileOf('{"perCaller": {"perSecond": 2}}', 'policy.json'));
  expect(perCaller).toEqual({ perSecond: 2, burst: 2 });
  await expect(readPolicy(await fileOf('{"a": 1}', 'policy.json'))).rejects.toThrow('policy.a: is not a field');
  await expect(readPolicy(await fileOf('{', 'policy.json'))).rejects.toThrow('JSON');
});

it('what is wrong is told by who named it, and of settings that name no file nothing', async () => {
  const source = { kind: 'env', name: 'TROUPE_AGENTS' } as const;
  const named = [
    { key: 'agents', value: ['./none.mjs'], source },
    { key: 'zone', value: 'none.yaml', source: { kind: 'default' } as const },
    { key: 'policy', value: undefined, source: { kind: 'default' } as const },
  ];
  expect(await fileProblems(named)).toEqual(['TROUPE_AGENTS ./none.mjs: there is no such file']);
});
