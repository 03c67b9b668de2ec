import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { firstView } from '../discovery/first-view.js';
import type { Membership } from '../discovery/membership.js';
import type { ClusterView } from '../discovery/view.js';
import { deadLettersForward } from '../gateway/dead-letters-forward.js';
import type { DeadLetters } from '../messaging/dead-letters.js';
import type { Messages } from '../messaging/messages.js';
import { MessagingService, type MessagingServiceDeps, RoutedMessagingDefinition } from '../messaging/messaging-service.js';
import type { ChannelPool } from '../rpc/channels.js';
import type { RpcServer } from '../rpc/server.js';

/** What Messaging needs of the process that serves it. */
export interface MessagingHost {
  readonly server: RpcServer;
  readonly view: ClusterView;
  readonly channels: ChannelPool;
  readonly clock: Clock;
  readonly random: Random;
}

/** What carries the messages of a process. */
export interface MessagingParts {
  readonly messages: Messages;
  readonly interest: MessagingServiceDeps['interest'];
  readonly deadLetters: DeadLetters;
}

/** Mounts Messaging, but for Connect. `forwards`: asks others for their dead letters, as a gateway does. Close it when the process drains. */
export function mountMessaging(
  host: MessagingHost,
  membership: Pick<Membership, 'self'>,
  parts: MessagingParts,
  forwards: boolean,
): MessagingService {
  const { server, view, channels, clock, random } = host;
  const service = new MessagingService({
    ...parts,
    clock,
    random,
    firstView: () => firstView(view),
    ...(forwards ? { deadLettersOf: deadLettersForward({ view, channels, clock, self: membership.self }) } : {}),
  });
  server.mount(RoutedMessagingDefinition, service.handlers);
  return service;
}
