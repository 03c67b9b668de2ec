import { abortError } from '../../../src/core/errors.js';
import { InstanceStatus } from '../../../src/gen/troupe/v1/instance.js';
import {
  DeregisterRequest,
  DiscoverRequest,
  ListInstancesRequest,
  RegisterRequest,
  UpdateInstanceRequest,
  WatchResponse,
} from '../../../src/gen/troupe/v1/registry.js';
import { Mirror } from '../../../src/registry/mirror.js';
import { Registrar } from '../../../src/registry/registrar.js';
import { registryService } from '../../../src/registry/registry-service.js';
import { WatchHub } from '../../../src/registry/watch-hub.js';
import type { Call } from '../../../src/rpc/call.js';
import { Keys } from '../../../src/store/keys.js';
import { MemoryStore } from '../../../src/store/memory-store.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';

export const UP = InstanceStatus.INSTANCE_STATUS_UP;

/** A call that nobody but the test ends. */
export function callOf(signal: AbortSignal): Call {
  return {
    path: '/test',
    peer: 'test',
    deadlineMs: Number.POSITIVE_INFINITY,
    signal,
    get cancelled() {
      return signal.aborted;
    },
    onCancel: (callback) => signal.addEventListener('abort', () => callback(abortError(signal)), { once: true }),
    header: () => undefined,
    trace: undefined,
  };
}

/** What a handler answers: control calls never answer with bytes. */
async function message<T>(call: () => T | Promise<T>): Promise<Exclude<T, Buffer>> {
  const response = await call();
  if (Buffer.isBuffer(response)) throw new Error('a message was expected');
  return response as Exclude<T, Buffer>;
}

/** A registry without sockets, on a store in memory and a clock that stands still. */
export class RegistryRig {
  readonly clock = new FakeClock();
  readonly logger = recordingLogger();
  readonly random = seededRandom(testSeed);
  readonly store: MemoryStore;
  readonly keys = new Keys('/troupe');
  readonly mirror: Mirror;
  readonly hub: WatchHub;
  readonly registrar: Registrar;
  readonly service: ReturnType<typeof registryService>;
  isLeading = false;
  private readonly controller = new AbortController();
  private readonly running: Promise<void>[] = [];

  constructor(options: { readonly recoveryMs?: number; readonly store?: MemoryStore; readonly run?: boolean } = {}) {
    const { clock, random, keys, logger } = this;
    this.store = options.store ?? new MemoryStore({ clock, random }, {});
    const deps = { store: this.store, keys, clock, random, logger };
    this.mirror = new Mirror(deps);
    this.hub = new WatchHub(this.mirror, clock);
    this.registrar = new Registrar(deps);
    this.service = registryService(
      { ...deps, mirror: this.mirror, hub: this.hub, registrar: this.registrar, isLeading: () => this.isLeading },
      { recoveryMs: options.recoveryMs ?? 0 },
    );
    if (options.run !== false) this.start();
  }

  start(): void {
    this.running.push(this.mirror.run(this.controller.signal), this.hub.run(this.controller.signal));
  }

  async stop(): Promise<void> {
    this.controller.abort();
    await Promise.all(this.running);
    await this.store.close();
  }

  register(...instances: DeepPartialInstance[]) {
    return this.registerUnder(0n, ...instances);
  }

  async registerUnder(leaseId: bigint, ...instances: DeepPartialInstance[]) {
    return message(() =>
      this.service.register(RegisterRequest.fromPartial({ leaseId, instances: instances.map(complete) }), this.call()),
    );
  }

  registerRaw(request: Parameters<typeof RegisterRequest.fromPartial>[0]) {
    return message(() => this.service.register(RegisterRequest.fromPartial(request), this.call()));
  }

  update(request: Parameters<typeof UpdateInstanceRequest.fromPartial>[0]) {
    return message(() => this.service.updateInstance(UpdateInstanceRequest.fromPartial(request), this.call()));
  }

  deregister(request: Parameters<typeof DeregisterRequest.fromPartial>[0]) {
    return message(() => this.service.deregister(DeregisterRequest.fromPartial(request), this.call()));
  }

  get(service: string, id: string) {
    return message(() => this.service.getInstance({ key: { service, id } }, this.call()));
  }

  list(request: Parameters<typeof ListInstancesRequest.fromPartial>[0] = {}) {
    return message(() => this.service.listInstances(ListInstancesRequest.fromPartial(request), this.call()));
  }

  discover(request: Parameters<typeof DiscoverRequest.fromPartial>[0] = {}) {
    return message(() => this.service.discover(DiscoverRequest.fromPartial(request), this.call()));
  }

  stats() {
    return message(() => this.service.getStats({}, this.call()));
  }

  watch(service = '', fromRevision = 0n): Watcher {
    return new Watcher((signal) => this.service.watch({ service, fromRevision }, callOf(signal)));
  }

  private call(): Call {
    return callOf(this.controller.signal);
  }
}

export type DeepPartialInstance = NonNullable<
  NonNullable<Parameters<typeof RegisterRequest.fromPartial>[0]>['instances']
>[number];

/** What an instance needs at least, where the test does not say. */
export function complete(given: DeepPartialInstance): DeepPartialInstance {
  const nodeId = given.service === 'agent' || given.service === undefined ? 'node-1' : '';
  return { service: 'agent', nodeId, endpoint: { host: '127.0.0.1', port: 5_000 }, ...given };
}

/** Follows a watch in the background. */
export class Watcher {
  readonly messages: WatchResponse[] = [];
  error: unknown;
  ended = false;
  private readonly controller = new AbortController();
  private readonly running: Promise<void>;

  constructor(open: (signal: AbortSignal) => AsyncIterable<WatchResponse | Buffer>) {
    this.running = this.follow(open);
  }

  /** The instances as the watcher knows them, `service/id` to the revision of the last change. */
  get known(): Map<string, bigint> {
    const known = new Map<string, bigint>();
    let collecting = new Map<string, bigint>();
    for (const { event } of this.messages) {
      if (event?.$case === 'snapshot') {
        if (event.value.first) collecting = new Map();
        for (const { service, id, revision } of event.value.instances) collecting.set(`${service}/${id}`, revision);
        if (!event.value.last) continue;
        known.clear();
        for (const [key, revision] of collecting) known.set(key, revision);
      } else if (event?.$case === 'changes') {
        for (const { change } of event.value.changes) {
          if (change?.$case === 'put') known.set(`${change.value.service}/${change.value.id}`, change.value.revision);
          else if (change !== undefined) known.delete(`${change.value.service}/${change.value.id}`);
        }
      }
    }
    return known;
  }

  /** After which revision a new watch would go on. */
  get revision(): bigint {
    return this.messages.reduce(
      (last, { event }) => (event?.$case === 'changes' || event?.$case === 'snapshot' ? event.value.revision : last),
      0n,
    );
  }

  get kinds(): (string | undefined)[] {
    return this.messages.map(({ event }) => event?.$case);
  }

  /** Every change, in order, as `+service/id` or `-service/id`. */
  get changes(): string[] {
    return this.messages.flatMap(({ event }) =>
      event?.$case !== 'changes'
        ? []
        : event.value.changes.map(
            ({ change }) => `${change?.$case === 'put' ? '+' : '-'}${change?.value.service}/${change?.value.id}`,
          ),
    );
  }

  async stop(): Promise<void> {
    this.controller.abort();
    await this.running;
  }

  private async follow(open: (signal: AbortSignal) => AsyncIterable<WatchResponse | Buffer>): Promise<void> {
    try {
      for await (const message of open(this.controller.signal))
        this.messages.push(Buffer.isBuffer(message) ? WatchResponse.decode(message) : message);
    } catch (error) {
      this.error = error;
    }
    this.ended = true;
  }
}

export { settle };
