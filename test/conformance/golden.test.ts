import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { canonicalOf, GOLDEN, GOLDEN_FILES, type Golden } from '../support/golden.js';
import { runCommand } from '../support/run-command.js';
import { CONFORMANCE, goProgram, python } from './toolchains.js';

interface Read {
  readonly name: string;
  readonly json: unknown;
  /** Encoded again. */
  readonly hex: string;
  /** The same without fields that are not known. */
  readonly known: string;
}

const LANGUAGES = [
  [
    'Python',
    () => runCommand(python().interpreter, [join(CONFORMANCE, 'python', 'golden.py'), ...GOLDEN_FILES], { env: python().env }),
  ],
  ['Go', () => runCommand(goProgram('golden'), GOLDEN_FILES)],
] as const;

describe.each(LANGUAGES)('%s, by the .proto files alone,', (_, run) => {
  it('reads golden bytes as what they mean, and writes the same', async () => {
    const { code, stdout, stderr } = await run();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const read = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Read);
    const written = read.map(({ name, json, known }, index) => ({
      name,
      json,
      known: canonicalOf(GOLDEN[index] as Golden, known),
    }));
    expect(written).toEqual(GOLDEN.map((golden) => ({ name: golden.name, json: golden.json, known: canonicalOf(golden) })));
    // Unknown fields are kept by both, after those that they know.
    const unknown = GOLDEN.map((golden, index) => [golden, read[index]?.hex] as const).filter(([{ name }]) =>
      name.includes('unknown'),
    );
    expect(unknown.length).toBeGreaterThan(0);
    for (const [{ hex }, again] of unknown) expect(again).toBe(hex);
  });
});
