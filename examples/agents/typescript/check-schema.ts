import { type JsonObject, TroupeError } from 'troupe';

const TYPES = new Set<unknown>(['array', 'boolean', 'integer', 'null', 'number', 'object', 'string']);
/** Keywords of JSON Schema 2020-12 (and draft 7) that hold one schema, several by name, and several in a row. */
const ONE = ['additionalProperties', 'items', 'additionalItems', 'not', 'contains', 'propertyNames', 'if', 'then', 'else'];
const NAMED = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];
const LISTED = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const ALONE = ['$schema', '$ref', 'type', 'enum', 'const', 'required', 'title'];

/**
 * Refuses what is no JSON Schema, in its parts too, and references that lead out of it: nothing is fetched.
 *
 * @throws TroupeError INVALID_ARGUMENT naming the place.
 */
export function checkSchema(schema: JsonObject): void {
  const keywords = [...ONE, ...NAMED, ...LISTED, ...ALONE];
  if (!keywords.some((keyword) => keyword in schema))
    throw refused('NOT_A_SCHEMA', 'schema', 'is no JSON Schema; give at least a "type", such as {"type":"object"}');
  checkReferences(schema);
  // Not by recursion: a deeply nested schema would overflow the stack.
  const waiting: [path: string, part: unknown][] = [['schema', schema]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [path, part] = next;
    if (typeof part === 'boolean') continue;
    if (!isObject(part)) throw refused('NOT_A_SCHEMA', path, 'must be a schema, that is a JSON object or a boolean');
    const types = part.type === undefined ? [] : Array.isArray(part.type) ? part.type : [part.type];
    if (!types.every((type) => TYPES.has(type)))
      throw refused('NOT_A_SCHEMA', `${path}.type`, `must be of ${[...TYPES].join(', ')}`);
    for (const keyword of NAMED) {
      const named = part[keyword] ?? {};
      if (!isObject(named)) throw refused('NOT_A_SCHEMA', `${path}.${keyword}`, 'must be a JSON object of schemas');
      for (const [name, inner] of Object.entries(named)) waiting.push([`${path}.${keyword}.${name}`, inner]);
    }
    for (const keyword of LISTED) {
      const listed = part[keyword] ?? [];
      if (!Array.isArray(listed)) throw refused('NOT_A_SCHEMA', `${path}.${keyword}`, 'must be an array of schemas');
      for (const [index, inner] of listed.entries()) waiting.push([`${path}.${keyword}[${index}]`, inner]);
    }
    for (const keyword of ONE) {
      // Draft 7 allows a row of schemas as "items".
      const inner = part[keyword];
      if (inner !== undefined) for (const one of [inner].flat()) waiting.push([`${path}.${keyword}`, one]);
    }
  }
}

/** Looks at every "$ref" anywhere, because whoever resolves them does so too. */
function checkReferences(schema: JsonObject): void {
  const waiting: unknown[] = [schema];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (Array.isArray(value)) for (const inner of value) waiting.push(inner);
    else if (isObject(value)) {
      if (typeof value.$ref === 'string' && !value.$ref.startsWith('#'))
        throw refused(
          'REMOTE_REF',
          'schema',
          `has the reference "${value.$ref}", and nothing is fetched; put what it means under "$defs" and use "#/$defs/..."`,
        );
      for (const inner of Object.values(value)) waiting.push(inner);
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refused(reason: string, path: string, description: string): TroupeError {
  const field = `payload.${path}`;
  return new TroupeError('INVALID_ARGUMENT', reason, `${field}: ${description}`, { violations: [{ field, description }] });
}
