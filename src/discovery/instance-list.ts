import { capabilityViolations } from '../agent/manifest.js';
import { invalidArgument, invalidFields } from '../core/errors.js';
import { isId } from '../core/ids.js';
import { instanceKeyText } from '../core/instance.js';
import type { ListInstancesRequest } from '../gen/troupe/v1/registry.js';
import { statusFromMessage } from '../rpc/codec/instance.js';
import { readPage } from '../rpc/page.js';
import type { Catalog, Known } from './catalog.js';

/** What ListInstances asks for, of a catalog: a page, by service and id. @throws INVALID_ARGUMENT. */
export function listInstances<K extends Known>(catalog: Catalog<K>, request: ListInstancesRequest) {
  return readPage(matching(catalog, request), request, ({ instance }) => instanceKeyText(instance));
}

/** @throws INVALID_ARGUMENT. */
export function checkService(service: string): void {
  if (service !== '' && !isId(service)) throw invalidArgument('service', 'is not a service name');
}

function* matching<K extends Known>(catalog: Catalog<K>, { service, statuses, capabilities }: ListInstancesRequest): Iterable<K> {
  checkService(service);
  const wrong = capabilityViolations('capabilities', capabilities);
  if (wrong.length > 0) throw invalidFields(wrong);
  const wanted = statuses.map((status, index) => {
    const name = statusFromMessage(status);
    if (name === undefined) throw invalidArgument(`statuses[${index}]`, 'is not a status that this version knows');
    return name;
  });
  for (const known of service === '' ? catalog.all() : catalog.ofService(service)) {
    const { instance } = known;
    if (wanted.length > 0 && !wanted.includes(instance.status)) continue;
    if (capabilities.every((capability) => instance.capabilities.includes(capability))) yield known;
  }
}
