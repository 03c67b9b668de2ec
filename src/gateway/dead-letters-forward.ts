import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { endpointText, GATEWAY_SERVICE, type Instance, NODE_SERVICE } from '../core/instance.js';
import type { ClusterView } from '../discovery/view.js';
import { ListDeadLettersRequest } from '../gen/troupe/v1/messaging.js';
import type { Call } from '../rpc/call.js';
import type { ChannelPool } from '../rpc/channels.js';
import { encodeMessage } from '../rpc/encode.js';
import { RawClient } from '../rpc/raw-client.js';
import { oneChannel } from '../rpc/renewed-channel.js';

export interface DeadLettersForwardDeps {
  readonly view: ClusterView;
  readonly channels: ChannelPool;
  readonly clock: Clock;
  /** The gateway. */
  readonly self: Pick<Instance, 'endpoint'>;
}

const DEFAULT_TIMEOUT_MS = 30_000;

/** ListDeadLetters of a gateway for another process: a node or a gateway. The answer stays encoded. */
export function deadLettersForward({ view, channels, clock, self }: DeadLettersForwardDeps) {
  return async (request: ListDeadLettersRequest, call: Call): Promise<Buffer> => {
    const id = request.nodeId;
    const target = view.catalog.get({ service: NODE_SERVICE, id }) ?? view.catalog.get({ service: GATEWAY_SERVICE, id });
    const address = target === undefined ? '' : endpointText(target.instance.endpoint);
    // One that was at this gateway's own address before it is no more: the call would come back.
    if (address === '' || address === endpointText(self.endpoint))
      throw new TroupeError('NOT_FOUND', 'UNKNOWN_NODE', `no node "${id}" in the cluster; \`troupe nodes\` lists them`, {
        metadata: { node_id: id },
      });
    const raw = new RawClient(oneChannel(channels.get(address)));
    const deadlineMs = Number.isFinite(call.deadlineMs) ? call.deadlineMs : clock.now() + DEFAULT_TIMEOUT_MS;
    const asked = raw.unary('/troupe.v1.Messaging/ListDeadLetters', encodeMessage(ListDeadLettersRequest, request), {
      deadlineMs,
    });
    call.onCancel(asked.cancel);
    return asked.response;
  };
}
