import { type JsonObject, TroupeError } from 'troupe';
import { installed } from '../input/installed.js';
import { checkSchema } from './check-schema.js';

export type GeneratedModule = {
  /** The name of the root type. */
  readonly root: string;
  /** Every name that the module exports. */
  readonly exports: readonly string[];
  readonly code: string;
};

/**
 * A TypeScript module with the types that `schema` describes. Works offline: a reference that leads out of the schema is
 * refused. @throws TroupeError INVALID_ARGUMENT when it is no JSON Schema.
 */
export async function generateModule(schema: JsonObject, name: string): Promise<GeneratedModule> {
  checkSchema(schema);
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
    const message = `the schema cannot be turned into types: ${said}; correct it`;
    throw new TroupeError('INVALID_ARGUMENT', 'SCHEMA_REFUSED', message, { cause });
  }
}
