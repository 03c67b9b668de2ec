import { type Instance, InstanceStatus, instanceStatusToJSON } from '../gen/troupe/v1/instance.js';
import type { Colour } from './colours.js';

/** How instances are shown. */

/** `UP`, as the contract names it, without its prefix. */
export function statusName(status: InstanceStatus): string {
  return instanceStatusToJSON(status).replace('INSTANCE_STATUS_', '');
}

export function statusColour(status: InstanceStatus): Colour {
  switch (status) {
    case InstanceStatus.INSTANCE_STATUS_UP:
      return 'green';
    case InstanceStatus.INSTANCE_STATUS_DOWN:
      return 'red';
    default:
      return 'yellow';
  }
}

export function endpointOf({ endpoint }: Instance): string {
  if (endpoint === undefined) return '';
  return endpoint.host.includes(':') ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}
