import type { InstanceId } from '../../core/ids.js';
import { type Instance, type InstanceStatus, instanceScore, type ProbeVerdict } from '../../core/instance.js';
import {
  Instance as Message,
  InstanceStatus as Status,
  type ProbeVerdict as VerdictMessage,
} from '../../gen/troupe/v1/instance.js';

const TO_MESSAGE: Readonly<Record<InstanceStatus, Status>> = {
  starting: Status.INSTANCE_STATUS_STARTING,
  up: Status.INSTANCE_STATUS_UP,
  degraded: Status.INSTANCE_STATUS_DEGRADED,
  stopping: Status.INSTANCE_STATUS_STOPPING,
  down: Status.INSTANCE_STATUS_DOWN,
};
const FROM_MESSAGE = new Map(Object.entries(TO_MESSAGE).map(([name, value]) => [value, name as InstanceStatus]));

export function statusToMessage(status: InstanceStatus): Status {
  return TO_MESSAGE[status];
}

/** Undefined for unspecified and for values of a newer contract. */
export function statusFromMessage(status: Status): InstanceStatus | undefined {
  return FROM_MESSAGE.get(status);
}

export function instanceToMessage(instance: Instance, heartbeat?: { readonly atMs: number; readonly ageMs: number }): Message {
  return Message.fromPartial({
    id: instance.id,
    service: instance.service,
    endpoint: instance.endpoint,
    status: TO_MESSAGE[instance.status],
    weight: instance.weight,
    zone: instance.zone,
    capabilities: [...instance.capabilities],
    metadata: new Map(instance.metadata),
    nodeId: instance.nodeId,
    registeredAt: instance.registeredAtMs === 0 ? undefined : new Date(instance.registeredAtMs),
    lastHeartbeatAt: heartbeat === undefined ? undefined : new Date(heartbeat.atMs),
    incarnation: instance.incarnation,
    revision: instance.revision,
    probe: instance.probe === undefined ? undefined : verdictToMessage(instance.probe),
    score: heartbeat === undefined ? 0 : instanceScore(instance.status, instance.weight, heartbeat.ageMs),
  });
}

/** An instance that a registry or a store gave: trusted, so nothing is checked. */
export function instanceFromMessage(message: Message): Instance {
  return {
    id: message.id as InstanceId,
    service: message.service,
    endpoint: { host: message.endpoint?.host ?? '', port: message.endpoint?.port ?? 0 },
    status: FROM_MESSAGE.get(message.status) ?? 'down',
    weight: message.weight ?? 1,
    zone: message.zone,
    capabilities: message.capabilities,
    metadata: message.metadata,
    nodeId: message.nodeId,
    registeredAtMs: message.registeredAt?.getTime() ?? 0,
    incarnation: message.incarnation,
    revision: message.revision,
    ...(message.probe === undefined ? {} : { probe: verdictFromMessage(message.probe) }),
  };
}

export function verdictToMessage({ failing, reason, sinceMs, registryId }: ProbeVerdict): VerdictMessage {
  return { failing, reason, since: new Date(sinceMs), registryId };
}

function verdictFromMessage({ failing, reason, since, registryId }: VerdictMessage): ProbeVerdict {
  return { failing, reason, sinceMs: since?.getTime() ?? 0, registryId };
}
