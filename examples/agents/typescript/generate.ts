import { type JsonObject, TroupeError } from 'troupe';
import { installed } from '../input/installed.js';

export type GeneratedModule = {
  /** The name of the root type. */
  readonly root: string;
  /** Every name that the module exports. */
  readonly exports: readonly string[];
  readonly code: string;
};

/** A schema says something with at least one of these (JSON Schema 2020-12, core and validation). */
const KEYWORDS = new Set([
  ...['$schema', '$ref', '$defs', 'definitions', 'type', 'enum', 'const', 'title', 'properties', 'patternProperties'],
  ...['additionalProperties', 'required', 'items', 'prefixItems', 'allOf', 'anyOf', 'oneOf', 'not'],
]);

/**
 * A TypeScript module with the types that `schema` describes. Works offline: a reference that leads out of the schema is
 * refused. @throws TroupeError INVALID_ARGUMENT when it is no JSON Schema.
 */
export async function generateModule(schema: JsonObject, name: string): Promise<GeneratedModule> {
  if (!Object.keys(schema).some((key) => KEYWORDS.has(key)))
    throw refused('NOT_A_SCHEMA', `is not a JSON Schema; give at least a "type", such as {"type":"object","properties":{}}`);
  const remote = remoteReference(schema);
  if (remote !== undefined)
    throw refused(
      'REMOTE_REF',
      `has the reference "${remote}", and nothing is fetched; put it under "$defs" and use "#/$defs/..."`,
    );
  const { compile } = await installed('json-schema-to-typescript', () => import('json-schema-to-typescript'));
  try {
    const code = await compile(schema, name, {
      bannerComment: '',
      additionalProperties: false,
      unreachableDefinitions: true,
      $refOptions: { resolve: { external: false, file: false, http: false } },
      style: { singleQuote: true },
    });
    const exports = [...code.matchAll(/^export (?:declare )?(?:interface|type|const enum|enum) (\w+)/gm)].map(
      ([, found = '']) => found,
    );
    return { root: exports[0] ?? name, exports, code };
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw refused('SCHEMA_REFUSED', `cannot be turned into types: ${said}; correct it`, cause);
  }
}

/** The first `$ref` that does not start with "#". */
function remoteReference(schema: JsonObject): string | undefined {
  const waiting: unknown[] = [schema];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    if ('$ref' in value && typeof value.$ref === 'string' && !value.$ref.startsWith('#')) return value.$ref;
    waiting.push(...Object.values(value));
  }
  return undefined;
}

function refused(reason: string, description: string, cause?: unknown): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', reason, `the schema ${description}`, { cause });
}
