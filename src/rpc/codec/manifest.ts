import { capabilityViolations, entryViolations, type ManifestInput, sizeViolations } from '../../agent/manifest.js';
import { type FieldViolation, invalidArgument, invalidFields } from '../../core/errors.js';
import { idViolation } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { AgentManifest as ManifestMessage } from '../../gen/troupe/v1/agent.js';

const MAX_CONFIG_BYTES = 65_536;
/** As in payloads. */
const MAX_DEPTH = 100;

/** @throws INVALID_ARGUMENT naming every wrong field. */
export function manifestFromMessage(message: ManifestMessage | undefined): ManifestInput {
  if (message === undefined) throw invalidArgument('manifest', 'is required');
  const config = (message.config ?? {}) as JsonObject;
  const violations: (FieldViolation | undefined)[] = [
    idViolation('manifest.id', message.id),
    idViolation('manifest.kind', message.kind),
    ...capabilityViolations('manifest.capabilities', message.capabilities),
    ...entryViolations('manifest.metadata', message.metadata),
    ...sizeViolations('manifest.', message, 'mailbox_capacity'),
    configViolation('manifest.config', config),
  ];
  const wrong = violations.filter((violation) => violation !== undefined);
  if (wrong.length > 0) throw invalidFields(wrong);
  const { id, kind, capabilities, concurrency, mailboxCapacity, weight, adaptiveConcurrency } = message;
  const metadata = Object.fromEntries(message.metadata);
  return { id, kind, capabilities, config, concurrency, mailboxCapacity, weight, adaptiveConcurrency, metadata };
}

export function manifestToMessage({ capabilities = [], config = {}, metadata = {}, ...rest }: ManifestInput): ManifestMessage {
  return ManifestMessage.fromPartial({
    ...rest,
    capabilities: [...capabilities],
    config,
    metadata: new Map(Object.entries(metadata)),
  });
}

function configViolation(field: string, config: JsonObject): FieldViolation | undefined {
  if (!isPlain(config, 0)) return { field, description: `must be at most ${MAX_DEPTH} levels deep, and have no key "__proto__"` };
  if (Buffer.byteLength(JSON.stringify(config)) <= MAX_CONFIG_BYTES) return undefined;
  return { field, description: `must be at most ${MAX_CONFIG_BYTES} bytes` };
}

/** The generated decoder sets the prototype where a key is "__proto__": such data is refused rather than changed. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MAX_DEPTH) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return false;
  return Object.values(value).every((item) => isPlain(item, depth + 1));
}
