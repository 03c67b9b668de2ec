import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import code from '../../../examples/agents/code.js';
import type { Diagnostic } from '../../../examples/agents/typescript/review.js';
import { activate, jsonOf } from '../../support/agent-context.js';

interface Review {
  readonly clean: boolean;
  readonly errors: number;
  readonly warnings: number;
  readonly diagnostics: readonly Diagnostic[];
}

interface Generated {
  readonly root: string;
  readonly exports: readonly string[];
  readonly code: string;
}

async function ask<Answer>(payload: object, require: readonly string[] = []) {
  const run = await activate(code);
  return jsonOf<Answer>((await run({ payload: { ...payload }, require })).result);
}

const reviewFolders = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('troupe-review-'));

describe('the code agent, reviewing', () => {
  it('finds the errors of the example, each at its place', async () => {
    const path = 'examples/data/review-me.ts.txt';
    const lines = (await readFile(path, 'utf8')).split('\n');
    const lineOf = (part: string) => lines.findIndex((line) => line.includes(part)) + 1;
    const review = await ask<Review>({ path }, ['review']);
    expect(review.diagnostics.map((found) => [found.line, found.code, found.severity])).toEqual([
      [lineOf('line.discount'), 'TS18048', 'error'],
      [lineOf('nextStatus(status'), 'TS2366', 'error'],
      [lineOf("return 'send'"), 'TS2322', 'error'],
      [lineOf('const encoding'), 'TS6133', 'warning'],
      [lineOf('JSON.parse('), 'TS2345', 'error'],
      [lineOf('order.ID'), 'TS2322', 'error'],
      [lineOf('order.ID'), 'TS2551', 'error'],
    ]);
    expect(review).toMatchObject({ clean: false, errors: 6, warnings: 1 });
    expect(review.diagnostics[2]).toMatchObject({ column: 7, source: "return 'send';" });
    expect(review.diagnostics[5]?.message).toContain("Type 'undefined' is not assignable to type 'Order'");
  });

  it('finds nothing in a right program, and leaves no files behind', async () => {
    const before = await reviewFolders();
    const source = "import { z } from 'zod';\nexport const Name = z.string();\nexport type Name = z.infer<typeof Name>;\n";
    expect(await ask<Review>({ do: 'review', source })).toMatchObject({ clean: true, errors: 0, diagnostics: [] });
    expect(await reviewFolders()).toEqual(before);
  });

  it('ends the compiler when the task is cancelled', async () => {
    const before = await reviewFolders();
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const run = await activate(code);
    const asked = run({ payload: { do: 'review', source: 'let x = 1' }, signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await expect(asked).rejects.toBe(reason);
    expect(await reviewFolders()).toEqual(before);
  });
});

describe('the code agent, generating', () => {
  it('writes a module that its own review finds right', async () => {
    const generated = await ask<Generated>({ path: 'examples/data/order.schema.json' }, ['code_generation']);
    expect(generated.root).toBe('Order');
    expect([...generated.exports].sort()).toEqual(['CardPayment', 'Customer', 'InvoicePayment', 'Line', 'Order']);
    const right = `export const one: Order = {
      id: 'S-0001', placed_at: '2025-01-01T00:00:00Z', status: 'paid', customer: { name: 'A', email: 'a@example.org' },
      lines: [{ product: 'Lamp', units: 1, unit_price: 49.9 }], payment: { method: 'card', last_digits: '1234' },
    };`;
    expect(await ask<Review>({ source: `${generated.code}\n${right}` }, ['review'])).toMatchObject({ clean: true });
    const wrong = right.replace("'paid'", "'lost'");
    const review = await ask<Review>({ source: `${generated.code}\n${wrong}` }, ['review']);
    expect(review.diagnostics).toEqual([expect.objectContaining({ code: 'TS2322', message: expect.stringContaining('lost') })]);
  });

  it('writes a recursive type', async () => {
    const schema = { type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] };
    const { code: written } = await ask<Generated>({ schema, name: 'chain' }, ['code_generation']);
    expect(written).toMatch(/export interface Chain \{\s+next: Chain;\s+\}/);
  });

  it.each([
    ['a list', { schema: [] }, 'INVALID_FIELD', /must be a JSON Schema/],
    ['an object that is no schema', { schema: { foo: 1 } }, 'NOT_A_SCHEMA', /"type"/],
    ['an unknown type', { schema: { type: 'text' } }, 'NOT_A_SCHEMA', /schema\.type/],
    ['a part that is no schema', { schema: { properties: { a: 5 } } }, 'NOT_A_SCHEMA', /properties\.a/],
    ['a reference to nothing', { schema: { properties: { a: { $ref: '#/$defs/A' } } } }, 'SCHEMA_REFUSED', /\$defs/],
    [
      'a reference to the network',
      { schema: { items: { $ref: 'https://example.org/a.json' } } },
      'REMOTE_REF',
      /nothing is fetched/,
    ],
    ['a reference to a file', { schema: { items: { $ref: 'package.json' } } }, 'REMOTE_REF', /nothing is fetched/],
    ['a file that is not JSON', { path: 'examples/data/sales.csv' }, 'NOT_A_SCHEMA', /sales\.csv/],
    ['a file that is no schema', { path: 'package.json' }, 'NOT_A_SCHEMA', /schema\.type/],
    ['two sources', { path: 'package.json', schema: {} }, 'INVALID_FIELD', /exactly one of/],
  ])('refuses %s', async (_name, payload, reason, message) => {
    const asked = ask(payload, ['code_generation']);
    await expect(asked).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason, message: expect.stringMatching(message) });
  });

  it('refuses a schema of 100,000 levels without running out of stack', async () => {
    let schema: object = { $ref: 'deep.json' };
    for (let level = 0; level < 100_000; level += 1) schema = { items: schema };
    await expect(ask({ schema }, ['code_generation'])).rejects.toMatchObject({ reason: 'REMOTE_REF' });
  });
});

describe('the code agent, choosing', () => {
  it.each([
    ['neither is asked', { source: '' }, [], /require one of/],
    ['both are required', { source: '' }, ['review', 'code_generation'], /require one of/],
    ['they contradict', { do: 'review', source: '' }, ['code_generation'], /the same in both/],
  ])('refuses when %s', async (_name, payload, require, message) => {
    const refused = { code: 'INVALID_ARGUMENT', reason: 'WORK_UNCLEAR', message: expect.stringMatching(message) };
    await expect(ask(payload, require)).rejects.toMatchObject(refused);
  });

  it('refuses what its manifest does not offer', async () => {
    const run = await activate(code, { capabilities: ['review'] });
    const asked = run({ payload: { do: 'code_generation', schema: { type: 'object' } } });
    await expect(asked).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'CAPABILITY_NOT_OFFERED' });
  });

  it('refuses a review of what is not TypeScript', async () => {
    const asked = ask({ path: 'examples/data/sales.csv' }, ['review']);
    await expect(asked).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'NOT_TYPESCRIPT' });
  });
});
