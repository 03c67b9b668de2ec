import { capabilityViolations, entryViolations, limitViolation, MAX_WEIGHT } from '../agent/manifest.js';
import { type FieldViolation, invalidArgument, invalidFields } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import { AGENT_SERVICE, INTEREST_PATTERN, INTEREST_SERVICE, instanceKeyText } from '../core/instance.js';
import { patternViolation } from '../core/topic.js';
import { CircuitState } from '../gen/troupe/v1/health.js';
import { Instance as InstanceMessage, InstanceStatus } from '../gen/troupe/v1/instance.js';
import type {
  InstanceKey as InstanceKeyMessage,
  MemberReport,
  RegisterRequest,
  UpdateInstanceRequest,
} from '../gen/troupe/v1/registry.js';
import { MAX_REPORTED_CIRCUITS } from '../rpc/codec/circuit.js';
import { statusFromMessage } from '../rpc/codec/instance.js';
import { msFromDuration } from '../rpc/codec/time.js';

export const MAX_BATCH = 100;
export const DEFAULT_TTL_SECONDS = 10;
const MIN_TTL_SECONDS = 2;
const MAX_TTL_SECONDS = 600;
const REPORTED_STATES: ReadonlySet<CircuitState> = new Set([
  CircuitState.CIRCUIT_STATE_CLOSED,
  CircuitState.CIRCUIT_STATE_OPEN,
  CircuitState.CIRCUIT_STATE_HALF_OPEN,
]);
/** Services whose instances say which process they belong to. */
const OF_A_NODE: ReadonlySet<string> = new Set([AGENT_SERVICE, INTEREST_SERVICE]);
const MAX_HOST_CHARS = 253;
const MAX_PORT = 65_535;
/** A host name, an IPv4 or an IPv6 address: no schemes, no ports, no spaces. */
const HOST = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/;

/** The instances of a registration with defaults filled in and the registry's own fields cleared. @throws INVALID_ARGUMENT naming every wrong field. */
export function checkRegistration(request: RegisterRequest): InstanceMessage[] {
  const { instances } = request;
  if (instances.length === 0) throw invalidArgument('instances', 'give at least one');
  if (instances.length > MAX_BATCH) throw invalidArgument('instances', `at most ${MAX_BATCH} at once, got ${instances.length}`);
  const violations: FieldViolation[] = instances.flatMap((instance, index) =>
    instanceViolations(`instances[${index}]`, instance),
  );
  const keys = new Set(instances.map(instanceKeyText));
  if (keys.size < instances.length) violations.push({ field: 'instances', description: 'two have the same service and id' });
  if (violations.length > 0) throw invalidFields(violations);
  return instances.map(withDefaults);
}

/** @throws INVALID_ARGUMENT. */
export function checkTtlSeconds({ ttl }: RegisterRequest): number {
  if (ttl === undefined) return DEFAULT_TTL_SECONDS;
  const seconds = msFromDuration(ttl) / 1000;
  if (!Number.isInteger(seconds) || seconds < MIN_TTL_SECONDS || seconds > MAX_TTL_SECONDS) {
    throw invalidArgument('ttl', `must be ${MIN_TTL_SECONDS} to ${MAX_TTL_SECONDS} whole seconds`);
  }
  return seconds;
}

/** @throws INVALID_ARGUMENT. */
export function checkKey(field: string, key: InstanceKeyMessage | undefined): InstanceKeyMessage {
  if (key === undefined) throw invalidArgument(field, 'is required');
  const violations = [idViolation(`${field}.service`, key.service), idViolation(`${field}.id`, key.id)].filter(
    (violation) => violation !== undefined,
  );
  if (violations.length > 0) throw invalidFields(violations);
  return key;
}

/** @throws INVALID_ARGUMENT. */
export function checkLeaseId(leaseId: bigint): bigint {
  if (leaseId <= 0n) throw invalidArgument('lease_id', 'is required: the lease that Register gave');
  return leaseId;
}

/** @throws INVALID_ARGUMENT. */
export function checkUpdate(request: UpdateInstanceRequest): void {
  checkKey('key', request.key);
  checkLeaseId(request.leaseId);
  const violations: FieldViolation[] = [
    ...entryViolations('metadata', request.metadata),
    ...capabilityViolations('capabilities.names', request.capabilities?.names ?? []),
  ];
  if (request.weight !== undefined) push(violations, limitViolation('weight', request.weight, MAX_WEIGHT));
  if (request.status !== InstanceStatus.INSTANCE_STATUS_UNSPECIFIED && statusFromMessage(request.status) === undefined) {
    violations.push({ field: 'status', description: 'is not a status that this version knows' });
  }
  if (violations.length > 0) throw invalidFields(violations);
}

/** What is wrong with a member's report, of the fields that could harm others. @throws INVALID_ARGUMENT naming every wrong field. */
export function checkReport({ circuits }: MemberReport): void {
  if (circuits.length > MAX_REPORTED_CIRCUITS)
    throw invalidArgument('report.circuits', `at most ${MAX_REPORTED_CIRCUITS}, got ${circuits.length}`);
  const violations: FieldViolation[] = [];
  circuits.forEach(({ service, id, state }, index) => {
    const at = `report.circuits[${index}]`;
    push(violations, idViolation(`${at}.service`, service));
    push(violations, idViolation(`${at}.id`, id));
    if (!REPORTED_STATES.has(state))
      violations.push({ field: `${at}.state`, description: 'is not a state that this version knows' });
  });
  if (violations.length > 0) throw invalidFields(violations);
}

function instanceViolations(at: string, instance: InstanceMessage): FieldViolation[] {
  const violations: FieldViolation[] = [
    ...capabilityViolations(`${at}.capabilities`, instance.capabilities),
    ...entryViolations(`${at}.metadata`, instance.metadata),
  ];
  push(violations, idViolation(`${at}.id`, instance.id));
  push(violations, idViolation(`${at}.service`, instance.service));
  if (instance.zone !== '') push(violations, idViolation(`${at}.zone`, instance.zone));
  if (instance.weight !== undefined) push(violations, limitViolation(`${at}.weight`, instance.weight, MAX_WEIGHT));
  if (instance.nodeId !== '' || OF_A_NODE.has(instance.service)) push(violations, idViolation(`${at}.node_id`, instance.nodeId));
  if (instance.service === INTEREST_SERVICE)
    push(violations, patternViolation(`${at}.metadata["${INTEREST_PATTERN}"]`, instance.metadata.get(INTEREST_PATTERN) ?? ''));
  const { endpoint } = instance;
  if (endpoint === undefined) violations.push({ field: `${at}.endpoint`, description: 'is required' });
  else {
    if (endpoint.host.length > MAX_HOST_CHARS || !HOST.test(endpoint.host))
      violations.push({ field: `${at}.endpoint.host`, description: 'must be a host name or an IP address' });
    if (endpoint.port < 1 || endpoint.port > MAX_PORT)
      violations.push({ field: `${at}.endpoint.port`, description: `must be 1 to ${MAX_PORT}` });
  }
  const { status } = instance;
  if (status !== InstanceStatus.INSTANCE_STATUS_UNSPECIFIED && statusFromMessage(status) === undefined) {
    violations.push({ field: `${at}.status`, description: 'is not a status that this version knows' });
  }
  return violations;
}

function withDefaults(instance: InstanceMessage): InstanceMessage {
  return InstanceMessage.fromPartial({
    ...instance,
    status: instance.status || InstanceStatus.INSTANCE_STATUS_UP,
    weight: instance.weight ?? 1,
    zone: instance.zone || 'default',
    registeredAt: undefined,
    lastHeartbeatAt: undefined,
    incarnation: 0n,
    revision: 0n,
    score: 0,
    probe: undefined,
  });
}

function push(violations: FieldViolation[], violation: FieldViolation | undefined): void {
  if (violation !== undefined) violations.push(violation);
}
