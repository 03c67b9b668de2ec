import { basename } from 'node:path';
import { defineAgent, type JsonObject, TroupeError } from 'troupe';
import { z } from 'zod';
import { exactlyOne, readBody } from './input/body.js';
import { readInput } from './input/files.js';
import { chooseWork } from './input/work.js';
import { generateModule } from './typescript/generate.js';
import { reviewSource } from './typescript/review.js';

const WORK = ['review', 'code_generation'] as const;
const MAX_BYTES = 1024 * 1024;
const SOURCE_NAME = /\.(tsx?|[mc]ts)$/;

const JsonSchema = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'must be a JSON Schema, that is a JSON object',
);
const Body = z.strictObject({
  do: z.enum(WORK).optional(),
  path: z.string().min(1).optional(),
  source: z.string().max(MAX_BYTES).optional(),
  schema: JsonSchema.optional(),
  name: z.string().max(100).optional(),
});
const ReviewBody = Body.omit({ schema: true, name: true }).refine(...exactlyOne(['path', 'source']));
const GenerateBody = Body.omit({ source: true }).refine(...exactlyOne(['path', 'schema']));

/**
 * Reviews TypeScript, or writes TypeScript types from a JSON Schema; which of the two say the task's required capability or
 * the payload's `do`.
 *
 * Payload of review: `path` or `source`. Payload of code_generation: `path` or `schema`, optional `name` of the root type.
 */
export default defineAgent({
  kind: 'code',
  description: 'Reviews TypeScript and writes types from JSON Schema',
  capabilities: ['code_generation', 'review'],
  run: async (task, ctx) => {
    const body = readBody(task, Body, { do: 'review', path: 'examples/data/review-me.ts.txt' });
    const work = chooseWork(task, ctx, WORK, body.do);
    switch (work) {
      case 'review': {
        const { path, source } = readBody(task, ReviewBody, { do: work, path: 'examples/data/review-me.ts.txt' });
        return await review(path, source, ctx.signal);
      }
      case 'code_generation': {
        const { path, schema, name } = readBody(task, GenerateBody, { do: work, path: 'examples/data/order.schema.json' });
        const generated = await generateModule(schema ?? (await readSchema(path ?? '')), name ?? schemaName(path));
        ctx.signal.throwIfAborted();
        return { language: 'typescript', ...generated };
      }
    }
  },
});

async function review(path: string | undefined, given: string | undefined, signal: AbortSignal) {
  // A ".txt" behind the name keeps a source with errors out of the project's own checks.
  const name = basename(path ?? 'source.ts').replace(/\.txt$/, '');
  const extension = SOURCE_NAME.exec(name)?.[0];
  if (extension === undefined)
    throw new TroupeError(
      'INVALID_ARGUMENT',
      'NOT_TYPESCRIPT',
      `payload.path: "${name}" is not TypeScript; give a .ts or .tsx file`,
    );
  const source = given ?? (await readInput(path ?? '', MAX_BYTES));
  const diagnostics = await reviewSource(source, extension, signal);
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
  return {
    file: path ?? null,
    lines: source.split('\n').length,
    clean: diagnostics.length === 0,
    errors,
    warnings: diagnostics.length - errors,
    diagnostics,
  };
}

async function readSchema(path: string): Promise<JsonObject> {
  const text = await readInput(path, MAX_BYTES);
  try {
    return JsonSchema.parse(JSON.parse(text));
  } catch (cause) {
    const message = `payload.path: "${path}" does not hold a JSON Schema, that is a JSON object`;
    throw new TroupeError('INVALID_ARGUMENT', 'NOT_A_SCHEMA', message, { cause });
  }
}

/** "examples/data/order.schema.json" is of an "order"; a title in the schema goes before that. */
function schemaName(path: string | undefined): string {
  return basename(path ?? 'root').split('.')[0] || 'root';
}
