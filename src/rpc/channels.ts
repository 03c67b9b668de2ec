import { Channel, type ChannelOptions, connectivityState, credentials } from '@grpc/grpc-js';
import { TroupeError } from '../core/errors.js';
import { FLOW_WINDOW_BYTES } from './connections.js';
import { MAX_MESSAGE_BYTES } from './server.js';

/** grpc-js's own defaults let a reconnect wait two minutes and hide a dead peer. */
const OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.min_reconnect_backoff_ms': 2_000,
  'grpc-node.flow_control_window': FLOW_WINDOW_BYTES,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // Retries are made in one layer only, ours.
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.use_local_subchannel_pool': 1,
  // Nobody asks for these books, which are kept for every call.
  'grpc.enable_channelz': 0,
};

export function openChannel(address: string): Channel {
  return new Channel(address, credentials.createInsecure(), OPTIONS);
}

/** One channel to each address, opened on first use. */
export class ChannelPool {
  private readonly channels = new Map<string, Channel>();

  get(address: string): Channel {
    let channel = this.channels.get(address);
    if (channel === undefined) {
      channel = openChannel(address);
      this.channels.set(address, channel);
    }
    return channel;
  }

  /** Closes the channel to an address that nobody needs any more; calls under way on it end with CANCELLED. */
  drop(address: string): void {
    this.channels.get(address)?.close();
    this.channels.delete(address);
  }

  close(): void {
    for (const address of [...this.channels.keys()]) this.drop(address);
  }
}

/** Whether a call would be sent at once. */
export function isConnected(channel: Channel): boolean {
  return channel.getConnectivityState(false) === connectivityState.READY;
}

/** Whether the last attempt to connect failed and the next has not succeeded: it goes on by itself. */
export function isFailing(channel: Channel): boolean {
  return channel.getConnectivityState(true) === connectivityState.TRANSIENT_FAILURE;
}

/** What says that nothing was sent. */
export function notConnected(address: string): TroupeError {
  return new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', `cannot connect to ${address}`, { metadata: { started: 'false' } });
}

/**
 * Resolves when the channel is connected. @throws UNAVAILABLE / NOT_CONNECTED after `timeoutMs`, or at once when the peer refuses:
 * nothing was sent, so nothing was begun.
 */
export async function connected(channel: Channel, address: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (let state = channel.getConnectivityState(true); state !== connectivityState.READY; ) {
    const before = state;
    const changed =
      before !== connectivityState.SHUTDOWN &&
      (await new Promise<boolean>((resolve) =>
        channel.watchConnectivityState(before, deadline, (error) => resolve(error === undefined)),
      ));
    state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return;
    if (!changed || state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) {
      throw notConnected(address);
    }
  }
}
