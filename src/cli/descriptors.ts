import { createFileRegistry, type DescService, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { messageOf, TroupeError } from '../core/errors.js';
import type { Reflection } from './reflection.js';

/** Where the types of rpcs come from: the address itself, or a file. */
export interface Descriptors {
  /** Full names, sorted. */
  serviceNames(): Promise<readonly string[]>;
  /** The service with all types that it uses. */
  service(name: string): Promise<{ readonly service: DescService; readonly types: FileRegistry }>;
}

/** Descriptors from a google.protobuf.FileDescriptorSet, as `buf build -o` and `protoc --descriptor_set_out --include_imports` write it. */
export function descriptorsFrom(path: string, bytes: Uint8Array): Descriptors {
  const types = readSet(path, bytes);
  const services = new Map<string, DescService>();
  for (const each of types) if (each.kind === 'service') services.set(each.typeName, each);
  return {
    serviceNames: async () => [...services.keys()].sort(),
    service: async (name) => {
      const service = services.get(name);
      if (service === undefined) throw noService(name, [...services.keys()].sort());
      return { service, types };
    },
  };
}

/** The full name of a service that may be given short: `Tasks` for `troupe.v1.Tasks`. @throws NOT_FOUND / NO_SERVICE */
export async function resolveService(descriptors: Descriptors | Reflection, name: string): Promise<string> {
  const names = await descriptors.serviceNames();
  if (names.includes(name)) return name;
  const matching = names.filter((each) => each.endsWith(`.${name}`));
  const [only] = matching;
  if (only === undefined) throw noService(name, names);
  if (matching.length > 1)
    throw new TroupeError('NOT_FOUND', 'NO_SERVICE', `"${name}" can be ${matching.join(' or ')}; give the full name`);
  return only;
}

function readSet(path: string, bytes: Uint8Array): FileRegistry {
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  } catch (error) {
    throw new TroupeError(
      'INVALID_ARGUMENT',
      'CANNOT_READ',
      `${path} is no descriptor set with imports (\`buf build -o\` writes one): ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function noService(name: string, names: readonly string[]): TroupeError {
  return new TroupeError('NOT_FOUND', 'NO_SERVICE', `no service "${name}" here; there are: ${names.join(', ') || 'none'}`);
}
