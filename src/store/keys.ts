import { invalidArgument } from '../core/errors.js';

export const DEFAULT_PREFIX = '/troupe';
export const MAX_PREFIX_BYTES = 200;

/**
 * The whole key schema. Every key of Troupe is made and read here, so that this file is the list of what is in the store.
 *
 *     <prefix>/v1/instances/<service>/<id>     a registered instance, under its node's lease
 *     <prefix>/v1/leaders/<name>               who leads in something (`registry`: the controllers), under its own lease
 *
 * `v1` is the version of the schema: a later one lives beside it. A new resource gets its own word after `v1/`
 * (deployments, tasks, state, config, locks, ...) and its own methods here; no word is a prefix of another with the slash.
 * Services and ids match `ID_PATTERN`, so they hold no slash and no key can be read in two ways.
 */
export class Keys {
  private readonly root: string;

  /** @throws TroupeError INVALID_ARGUMENT naming `prefix`. */
  constructor(prefix: string = DEFAULT_PREFIX) {
    this.root = `${checkPrefix(prefix)}/v1/`;
  }

  /** Prefix of all instances. */
  instances(): string {
    return `${this.root}instances/`;
  }

  /** Prefix of a service's instances. */
  instancesOf(service: string): string {
    return `${this.instances()}${service}/`;
  }

  instance(service: string, id: string): string {
    return `${this.instancesOf(service)}${id}`;
  }

  /** The key that whoever leads in `name` holds. */
  leader(name: string): string {
    return `${this.root}leaders/${name}`;
  }

  /** What `instance` made the key from; undefined when it is no instance's key. */
  parseInstance(key: string): { readonly service: string; readonly id: string } | undefined {
    const prefix = this.instances();
    if (!key.startsWith(prefix)) return undefined;
    const [service, id, ...rest] = key.slice(prefix.length).split('/');
    if (service === undefined || service === '' || id === undefined || id === '' || rest.length > 0) return undefined;
    return { service, id };
  }
}

function checkPrefix(prefix: string): string {
  if (!prefix.startsWith('/')) throw invalidArgument('prefix', 'must start with "/"');
  if (prefix.endsWith('/')) throw invalidArgument('prefix', 'must not end with "/"');
  if (prefix.includes('//')) throw invalidArgument('prefix', 'must not have an empty segment ("//")');
  if (Buffer.byteLength(prefix) > MAX_PREFIX_BYTES) throw invalidArgument('prefix', `must be at most ${MAX_PREFIX_BYTES} bytes`);
  return prefix;
}
