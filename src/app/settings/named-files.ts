import { createReadStream } from 'node:fs';
import { messageOf } from '../../core/errors.js';
import { moduleProblem } from '../../node/load-agents.js';
import { parseRoutingPolicy, type RoutingPolicy } from '../../upstream/routing-policy.js';
import { type Claim, sourceName } from './resolution.js';

const MIB = 1024 * 1024;
const MOST_POLICY_MIB = 64;
const MOST_SECRET_MIB = 1;

/** @throws what says why it is none, without its path. */
export async function readPolicy(path: string): Promise<RoutingPolicy> {
  return parseRoutingPolicy(JSON.parse((await readUpTo(path, MOST_POLICY_MIB)).toString('utf8')));
}

/** A certificate or a key. @throws what says why it is none, without its path. */
export async function readPem(path: string): Promise<Buffer> {
  const bytes = await readUpTo(path, MOST_SECRET_MIB);
  if (bytes.length === 0) throw new Error(EMPTY);
  return bytes;
}

/** The line that a file holds, without its end. @throws what says why there is none, without its path. */
export async function readSecret(path: string): Promise<string> {
  const secret = (await readUpTo(path, MOST_SECRET_MIB)).toString('utf8').replace(/\r?\n$/, '');
  if (secret === '') throw new Error(EMPTY);
  return secret;
}

const EMPTY = 'it is empty';

/** What is done to see whether the value of a setting is the name of something that will do. */
const CHECKS: Readonly<Record<string, (name: string) => Promise<unknown>>> = {
  policy: readPolicy,
  etcdPasswordFile: readSecret,
  etcdCa: readPem,
  etcdCert: readPem,
  etcdKey: readPem,
  agents: async (module) => {
    const problem = moduleProblem(module, process.cwd());
    if (problem !== undefined) throw new Error(problem);
  },
};

/** What is wrong with the files that settings name: of all of them, each by who named it. Modules of agents are looked for, not run. */
export async function fileProblems(named: readonly (Claim & { readonly key: string })[]): Promise<readonly string[]> {
  const problems = named.map(async ({ key, source, value }) => {
    const check = CHECKS[key];
    if (check === undefined || value === undefined) return [];
    const wrong = ([value].flat() as string[]).map((name) =>
      check(name).then(
        () => [],
        (error: unknown) => [`${sourceName(source)} ${name}: ${messageOf(error)}`],
      ),
    );
    return (await Promise.all(wrong)).flat();
  });
  return (await Promise.all(problems)).flat();
}

/** What a file begins with, not all of it: a device or a log may be given by a slip. */
export async function readStart(path: string, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(path, { end: mostBytes - 1 })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function readUpTo(path: string, mostMib: number): Promise<Buffer> {
  const bytes = await readStart(path, mostMib * MIB + 1);
  if (bytes.length > mostMib * MIB) throw new Error(`it must be at most ${mostMib} MiB`);
  return bytes;
}
