import { TroupeError } from '../core/errors.js';
import { EventQueue } from '../core/event-queue.js';
import {
  type HealthCheckResponse,
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../gen/grpc/health/v1/health.js';
import type { Call } from './call.js';
import type { RpcServer } from './server.js';

const MAX_WATCH_BACKLOG = 64;

/** grpc.health.v1: one state for the whole server and all its services, SERVING only while the process is ready for work. */
export class Health {
  private serving = false;
  private readonly watchers = new Set<EventQueue<HealthCheckResponse>>();
  private server: RpcServer | undefined;

  set(serving: boolean): void {
    if (serving === this.serving) return;
    this.serving = serving;
    for (const watcher of this.watchers) watcher.push(this.response());
  }

  get isServing(): boolean {
    return this.serving;
  }

  mount(server: RpcServer): void {
    this.server = server;
    server.mount(HealthDefinition, {
      check: ({ service }) => {
        if (!this.knows(service)) throw new TroupeError('NOT_FOUND', 'UNKNOWN_SERVICE', `no service "${service}" here`);
        return this.response();
      },
      watch: ({ service }, call) => this.watch(service, call),
    });
  }

  /** Ends the watches. */
  close(): void {
    for (const watcher of this.watchers) watcher.close();
  }

  private async *watch(service: string, call: Call): AsyncGenerator<HealthCheckResponse, void, undefined> {
    const queue = new EventQueue<HealthCheckResponse>(
      MAX_WATCH_BACKLOG,
      () => new TroupeError('RESOURCE_EXHAUSTED', 'SLOW_READER', 'the reader is too slow'),
    );
    call.onCancel(() => queue.close());
    // As the protocol asks: an unknown service is told, not refused, since it may come.
    queue.push(this.knows(service) ? this.response() : { status: ServingStatus.SERVICE_UNKNOWN });
    if (this.knows(service)) this.watchers.add(queue);
    try {
      yield* queue;
    } finally {
      this.watchers.delete(queue);
    }
  }

  private knows(service: string): boolean {
    return service === '' || this.server?.services.includes(service) === true;
  }

  private response(): HealthCheckResponse {
    return { status: this.serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING };
  }
}
