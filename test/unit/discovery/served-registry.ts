import { RegistryDefinition } from '../../../src/gen/troupe/v1/registry.js';
import { RpcServer } from '../../../src/rpc/server.js';
import type { Handlers } from '../../../src/rpc/service.js';
import { RegistryRig } from '../registry/registry-rig.js';

export type RegistryHandlers = Handlers<typeof RegistryDefinition>;

/** The real registry service on a real server, in this process, over a store in memory and a clock that stands still. */
export class ServedRegistry {
  readonly rig: RegistryRig;
  private server: RpcServer;
  port = 0;
  /** Replaces handlers from the next call on. */
  overrides: Partial<RegistryHandlers> = {};

  constructor(options: ConstructorParameters<typeof RegistryRig>[0] = {}) {
    this.rig = new RegistryRig(options);
    this.server = this.makeServer();
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    await this.rig.mirror.firstRead;
    this.port = await this.server.listen('127.0.0.1', this.port);
    return this;
  }

  /** Goes away; `start` brings it back at the same port. */
  async goAway(): Promise<void> {
    await this.server.shutdown(0);
    this.server = this.makeServer();
  }

  /** Lets time pass in small steps, and what hangs on sockets happen in between. */
  async pass(ms: number, stepMs = 250): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await this.rig.clock.advance(stepMs);
      await new Promise<void>((resolve) => setTimeout(resolve, 3));
    }
  }

  /** Lets time pass slowly until `check` no longer throws: a broken connection takes real time to come back. */
  async passUntil(check: () => void | Promise<void>): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        return await check();
      } catch (error) {
        if (tries > 500) throw error;
      }
      await this.rig.clock.advance(25);
      await new Promise<void>((resolve) => setTimeout(resolve, 10));
    }
  }

  async stop(): Promise<void> {
    await this.server.shutdown(0);
    await this.rig.stop();
  }

  private makeServer(): RpcServer {
    const server = new RpcServer({ logger: this.rig.logger });
    const service = this.rig.service;
    const overridable = Object.fromEntries(
      (Object.keys(service) as (keyof RegistryHandlers)[]).map((name) => [
        name,
        (...given: Parameters<RegistryHandlers[typeof name]>) => {
          const handler = (this.overrides[name] ?? service[name]) as (...args: typeof given) => unknown;
          return handler(...given);
        },
      ]),
    ) as unknown as RegistryHandlers;
    server.mount(RegistryDefinition, overridable);
    return server;
  }
}
