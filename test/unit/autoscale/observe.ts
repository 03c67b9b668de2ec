import { analyze, type History, type Observation } from '../../../src/autoscale/report.js';

export const SECOND = 1_000;

/** An observation at `seconds`: what the instances of each group have for connections; undefined is one that did not answer. */
export function observation(seconds: number, loads: Readonly<Record<string, readonly (number | undefined)[]>>): Observation {
  return {
    timeMs: 1_000_000 + seconds * SECOND,
    monotonicMs: seconds * SECOND,
    instances: Object.entries(loads).flatMap(([group, connections]) =>
      connections.map((each) => ({ groups: [group], ...(each === undefined ? {} : { connections: each }) })),
    ),
  };
}

/** The history of one group `web`, a report each second; each entry is the load of its instances. */
export function historyOf(...loads: readonly (readonly (number | undefined)[])[]): History {
  return loads.reduce<History>((history, load, second) => analyze(observation(second, { web: load }), history).history, []);
}

/** `total` connections spread over `instances`. */
export function spread(total: number, instances: number): readonly number[] {
  return Array.from({ length: instances }, (_, index) => Math.floor(total / instances) + (index < total % instances ? 1 : 0));
}
