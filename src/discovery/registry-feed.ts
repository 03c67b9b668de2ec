import { childController, delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { isTroupeError, messageOf, TroupeError } from '../core/errors.js';
import type { Instance } from '../core/instance.js';
import type { Random } from '../core/random.js';
import type { WatchResponse } from '../gen/troupe/v1/registry.js';
import { backoffMs } from '../resilience/backoff.js';
import { instanceFromMessage } from '../rpc/codec/instance.js';
import { msFromDuration } from '../rpc/codec/time.js';
import type { Logger } from '../telemetry/logger.js';
import { HeldRemovals } from './held-removals.js';
import type { RegistrySession } from './registry-session.js';
import type { ClusterView, ViewChange } from './view.js';

/** A registry that says nothing for so long (it sends progress every 2 s) is taken for dead. */
const SILENCE_MS = 6_000;
const BACKOFF = { initialMs: 100, capMs: 2_000 };
/** What is started together does not come up in order: a registry may take a moment longer. */
const UNREACHED_TRIES = 5;

export interface FeedDeps {
  readonly registry: RegistrySession;
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Whether the control plane was away until a moment ago: then nobody is dropped yet. */
  readonly isRecovering: () => boolean;
}

/** Keeps a view in step with the registry until `signal` aborts: snapshot, then changes, resumed where they broke off. */
export async function feedView(deps: FeedDeps, signal: AbortSignal): Promise<void> {
  const removals = new HeldRemovals(deps.view, deps.clock, deps.isRecovering);
  try {
    await followAlways(deps, removals, signal);
  } finally {
    removals.close();
  }
}

async function followAlways(deps: FeedDeps, removals: HeldRemovals, signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    const { client, address } = deps.registry;
    const isKnown = deps.view.revision > 0n;
    try {
      await follow(deps, removals, signal, () => {
        if (failures > 0) deps.logger.info(isKnown ? 'registry watch is back' : 'registry is reached', { registry: address });
        failures = 0;
      });
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      const facts = { registry: address, reason: messageOf(error) };
      if (!deps.view.hasSeenCluster) {
        if (failures === UNREACHED_TRIES) deps.logger.warn('no registry is reached yet; trying on', facts);
      } else if (failures === 1) deps.logger.warn('registry watch lost; serving what is known', facts);
      if (isTroupeError(error, 'REGISTRY_SILENT')) deps.registry.abandon(client);
      else deps.registry.turnFrom(client);
      await delay(backoffMs(failures, BACKOFF, deps.random), signal, deps.clock).catch(() => undefined);
    }
  }
}

async function follow(
  { registry, view, clock }: FeedDeps,
  removals: HeldRemovals,
  signal: AbortSignal,
  onMessage: () => void,
): Promise<void> {
  const { controller, release } = childController(signal);
  let cancelSilence: () => void = () => undefined;
  const expectMore = () => {
    cancelSilence();
    cancelSilence = clock.after(SILENCE_MS, () =>
      controller.abort(new TroupeError('UNAVAILABLE', 'REGISTRY_SILENT', 'the registry fell silent')),
    );
  };
  const snapshot: Instance[] = [];
  try {
    expectMore();
    for await (const response of registry.client.watch({ fromRevision: view.revision }, { signal: controller.signal })) {
      expectMore();
      onMessage();
      accept(response, view, removals, snapshot);
    }
    throw new TroupeError('UNAVAILABLE', 'REGISTRY_CLOSED', 'the registry ended the watch');
  } finally {
    cancelSilence();
    release();
  }
}

function accept({ event }: WatchResponse, view: ClusterView, removals: HeldRemovals, snapshot: Instance[]): void {
  switch (event?.$case) {
    case 'snapshot':
      if (event.value.first) snapshot.length = 0;
      for (const message of event.value.instances) snapshot.push(instanceFromMessage(message));
      if (event.value.last) {
        removals.reset(snapshot, event.value.revision);
        snapshot.length = 0;
      }
      return;
    case 'changes': {
      const changes: ViewChange[] = [];
      for (const { change } of event.value.changes) {
        if (change?.$case === 'put') changes.push({ kind: 'put', instance: instanceFromMessage(change.value) });
        else if (change?.$case === 'removed') changes.push({ kind: 'removed', key: change.value });
      }
      removals.apply(changes, event.value.revision);
      return;
    }
    case 'progress':
      view.inStep(event.value.age === undefined ? 0 : msFromDuration(event.value.age));
      return;
    case undefined:
      return;
  }
}
