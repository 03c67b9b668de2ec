import { type AgentTask, TroupeError } from 'troupe';
import type { z } from 'zod';

/** The task's payload as `schema` wants it. @throws TroupeError INVALID_ARGUMENT naming every wrong field, with an example. */
export function readBody<Body>(task: AgentTask, schema: z.ZodType<Body>, example: object): Body {
  const result = schema.safeParse(task.json<unknown>() ?? {});
  if (result.success) return result.data;
  const violations = result.error.issues.map(({ path, message }) => ({
    field: ['payload', ...path].join('.'),
    description: message,
  }));
  const found = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new TroupeError('INVALID_ARGUMENT', 'INVALID_FIELD', `${found}; send for example ${JSON.stringify(example)}`, {
    violations,
  });
}

/** A zod check: exactly one of `fields` is given. */
export function exactlyOne(fields: readonly string[]): [(body: object) => boolean, string] {
  return [
    (body) => Object.entries(body).filter(([field, value]) => fields.includes(field) && value !== undefined).length === 1,
    `give exactly one of ${fields.map((field) => `"${field}"`).join(', ')}`,
  ];
}
