import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type AnyAgentDefinition, isAgentDefinition } from '../agent/define-agent.js';
import { messageOf, TroupeError } from '../core/errors.js';

/**
 * The agent kinds that a module exports, by whatever names, singly or in arrays. `specifier` is a path relative to
 * `directory`, or the name of a package installed there. @throws INVALID_ARGUMENT / AGENT_MODULE saying what to do.
 */
export async function loadAgents(specifier: string, directory: string): Promise<readonly AnyAgentDefinition[]> {
  let module: object;
  try {
    module = (await import(locate(specifier, directory))) as object;
  } catch (error) {
    throw failed(specifier, hint(specifier, error), error);
  }
  const definitions = new Set(Object.values(module).flat().filter(isAgentDefinition));
  if (definitions.size === 0) throw failed(specifier, 'it exports no agent; export what defineAgent() gives');
  return [...definitions];
}

/** Those of several modules: one after the other, since a module in CommonJS cannot require what another is still importing. */
export async function loadAllAgents(specifiers: readonly string[], directory: string): Promise<readonly AnyAgentDefinition[]> {
  const definitions = new Set<AnyAgentDefinition>();
  for (const specifier of specifiers) {
    for (const definition of await loadAgents(specifier, directory)) definitions.add(definition);
  }
  return [...definitions];
}

/** Why there is no such module; undefined where there is one. It is not run: what it exports is not known. */
export function moduleProblem(specifier: string, directory: string): string | undefined {
  try {
    locate(specifier, directory);
    return undefined;
  } catch (error) {
    return hint(specifier, error);
  }
}

function locate(specifier: string, directory: string): string {
  const path = resolve(directory, specifier);
  if (existsSync(path)) {
    if (statSync(path).isDirectory() && !existsSync(resolve(path, 'package.json')))
      throw new Error('it is a directory; name the module in it');
    return pathToFileURL(statSync(path).isDirectory() ? createRequire(resolve(directory, 'noop.js')).resolve(path) : path).href;
  }
  if (/^\.{0,2}\//.test(specifier)) throw new Error('there is no such file');
  return pathToFileURL(createRequire(resolve(directory, 'noop.js')).resolve(specifier)).href;
}

function hint(specifier: string, error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION')
    return 'this Node.js does not run TypeScript; use Node.js 22.18 or newer, or compile it first';
  if (code === 'MODULE_NOT_FOUND' && !/[\\/]/.test(specifier))
    return 'there is no such file, and no such package is installed here';
  return messageOf(error).split('\n')[0] ?? '';
}

function failed(specifier: string, why: string, cause?: unknown): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', 'AGENT_MODULE', `--agents ${specifier}: ${why}`, { cause });
}
