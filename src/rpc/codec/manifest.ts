import {
  type AgentManifest,
  capabilityViolations,
  entryViolations,
  limitViolation,
  MAX_CONCURRENCY,
  MAX_MAILBOX_CAPACITY,
  MAX_WEIGHT,
} from '../../agent/manifest.js';
import { type FieldViolation, invalidArgument, invalidFields } from '../../core/errors.js';
import { idViolation } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { AgentManifest as ManifestMessage } from '../../gen/troupe/v1/agent.js';

const MAX_CONFIG_BYTES = 65_536;
/** As in payloads. */
const MAX_DEPTH = 100;

/** @throws INVALID_ARGUMENT naming every wrong field. */
export function manifestFromMessage(message: ManifestMessage | undefined): AgentManifest {
  if (message === undefined) throw invalidArgument('manifest', 'is required');
  const config = (message.config ?? {}) as JsonObject;
  const violations: (FieldViolation | undefined)[] = [
    idViolation('manifest.id', message.id),
    idViolation('manifest.kind', message.kind),
    ...capabilityViolations('manifest.capabilities', message.capabilities),
    ...entryViolations('manifest.metadata', message.metadata),
    message.concurrency === undefined ? undefined : limitViolation('manifest.concurrency', message.concurrency, MAX_CONCURRENCY),
    message.mailboxCapacity === undefined
      ? undefined
      : limitViolation('manifest.mailbox_capacity', message.mailboxCapacity, MAX_MAILBOX_CAPACITY),
    message.weight === undefined ? undefined : limitViolation('manifest.weight', message.weight, MAX_WEIGHT),
    configViolation('manifest.config', config),
  ];
  const wrong = violations.filter((violation) => violation !== undefined);
  if (wrong.length > 0) throw invalidFields(wrong);
  const { id, kind, capabilities, concurrency = 0, mailboxCapacity = 0, weight = 0 } = message;
  return { id, kind, capabilities, config, concurrency, mailboxCapacity, weight, metadata: Object.fromEntries(message.metadata) };
}

export function manifestToMessage(manifest: AgentManifest): ManifestMessage {
  return ManifestMessage.fromPartial({
    ...manifest,
    concurrency: manifest.concurrency || undefined,
    mailboxCapacity: manifest.mailboxCapacity || undefined,
    weight: manifest.weight || undefined,
    capabilities: [...manifest.capabilities],
    metadata: new Map(Object.entries(manifest.metadata)),
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
