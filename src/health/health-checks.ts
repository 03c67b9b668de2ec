import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { HealthCheckResponse, HealthCheckResponse_ServingStatus as ServingStatus } from '../gen/grpc/health/v1/health.js';
import { ChannelPool } from '../rpc/channels.js';
import { RawClient } from '../rpc/raw-client.js';
import { oneChannel } from '../rpc/renewed-channel.js';
import type { ProbeOutcome } from './probe-state.js';
import type { NodeChecks } from './prober.js';

const CHECK = '/grpc.health.v1.Health/Check';
/** Asks for the server as a whole: the empty name. */
const REQUEST = Buffer.alloc(0);
const PASSED: ProbeOutcome = { kind: 'passed' };

/** Checks by grpc.health.v1, over one connection to each address that is kept. `close` it. */
export class HealthChecks implements NodeChecks {
  private readonly channels = new ChannelPool();
  private readonly clients = new Map<string, RawClient>();

  constructor(private readonly clock: Clock) {}

  /** Undefined where the check was called off, also by `forget`. */
  async check(address: string, timeoutMs: number, signal: AbortSignal): Promise<ProbeOutcome | undefined> {
    if (signal.aborted) return undefined;
    let client: RawClient | undefined;
    let cancel: () => void = () => undefined;
    try {
      client = this.client(address);
      const call = client.unary(CHECK, REQUEST, { deadlineMs: this.clock.now() + timeoutMs });
      cancel = call.cancel;
      signal.addEventListener('abort', cancel, { once: true });
      const { status } = HealthCheckResponse.decode(await call.response);
      return status === ServingStatus.SERVING ? PASSED : { kind: 'missed', miss: 'not_serving' };
    } catch (error) {
      return this.clients.get(address) === client ? outcomeOf(error) : undefined;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  forget(address: string): void {
    this.clients.delete(address);
    this.channels.drop(address);
  }

  close(): void {
    this.clients.clear();
    this.channels.close();
  }

  private client(address: string): RawClient {
    let client = this.clients.get(address);
    if (client === undefined) {
      client = new RawClient(oneChannel(this.channels.get(address)));
      this.clients.set(address, client);
    }
    return client;
  }
}

/**
 * Whoever answers at all is alive: a node in another language may do without grpc.health.v1, which is UNIMPLEMENTED. What went wrong
 * on this side says nothing.
 */
function outcomeOf(error: unknown): ProbeOutcome | undefined {
  if (!(error instanceof TroupeError)) return undefined;
  switch (error.code) {
    case 'DEADLINE_EXCEEDED':
      return { kind: 'missed', miss: 'no_answer' };
    case 'UNAVAILABLE':
      return { kind: 'missed', miss: 'unreachable' };
    case 'CANCELLED':
      return undefined;
    default:
      return PASSED;
  }
}
