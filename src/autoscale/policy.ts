import { type FieldViolation, invalidFields } from '../core/errors.js';

/** When a group is to have more or fewer instances. */
export interface ScalePolicy {
  /** More, when the average of connections per instance exceeds this. Above `target`. */
  readonly scaleUpAbove: number;
  /** Connections per instance that a change aims at. Above 0. */
  readonly target: number;
  /** Fewer, when the average is below this; 0 for never. Below `target`. */
  readonly scaleDownBelow: number;
  /** At least 1. */
  readonly minInstances: number;
  /** At least `minInstances`; as many as it takes when not given. */
  readonly maxInstances?: number;
  /** An up goes no higher than what was enough at some time of these last milliseconds; 0 to 1 h. */
  readonly stabiliseUpMs: number;
  /** A down goes no lower than the most that was needed in these last milliseconds; 0 to 1 h. */
  readonly stabiliseDownMs: number;
}

/** As in Kubernetes, `behavior.scaleDown.stabilizationWindowSeconds` of HorizontalPodAutoscaler (autoscaling/v2): 0 to 3600. */
const MAX_STABILISATION_MS = 3_600_000;

/**
 * The thresholds are the article's. The windows are the defaults of Kubernetes: an up at once, a down after 300 s. Its tolerance
 * of 10 % has no counterpart: it keeps one target from being chased, which here the band between the thresholds does.
 */
export const DEFAULT_SCALE_POLICY: ScalePolicy = {
  scaleUpAbove: 100,
  target: 50,
  scaleDownBelow: 10,
  minInstances: 1,
  stabiliseUpMs: 0,
  stabiliseDownMs: 300_000,
};

/**
 * The default policy with `changes`.
 *
 * @throws TroupeError INVALID_ARGUMENT that names each field that is wrong; thresholds that contradict each other are wrong too.
 */
export function scalePolicy(changes: Partial<ScalePolicy> = {}): ScalePolicy {
  const policy = { ...DEFAULT_SCALE_POLICY, ...changes };
  const violations = violationsOf(policy);
  if (violations.length > 0) throw invalidFields(violations);
  return policy;
}

function violationsOf(policy: ScalePolicy): readonly FieldViolation[] {
  const { scaleUpAbove, target, scaleDownBelow, minInstances, maxInstances, stabiliseUpMs, stabiliseDownMs } = policy;
  const isTarget = Number.isFinite(target) && target > 0;
  const rules: readonly (readonly [field: keyof ScalePolicy, holds: boolean, description: string])[] = [
    ['target', isTarget, 'must be a number above 0'],
    // The two together keep the thresholds apart.
    [
      'scaleUpAbove',
      Number.isFinite(scaleUpAbove) && !(isTarget && scaleUpAbove <= target),
      `must be a number above the target, which is ${target}`,
    ],
    [
      'scaleDownBelow',
      scaleDownBelow >= 0 && !(isTarget && scaleDownBelow >= target),
      `must be a number from 0 to below the target, which is ${target}`,
    ],
    ['minInstances', isCount(minInstances), 'must be a whole number of at least 1'],
    [
      'maxInstances',
      maxInstances === undefined || (isCount(maxInstances) && !(maxInstances < minInstances)),
      `must be a whole number of at least ${isCount(minInstances) ? minInstances : 1}`,
    ],
    ['stabiliseUpMs', isWindow(stabiliseUpMs), WINDOW_RULE],
    ['stabiliseDownMs', isWindow(stabiliseDownMs), WINDOW_RULE],
  ];
  return rules.filter(([, holds]) => !holds).map(([field, , description]) => ({ field, description }));
}

const WINDOW_RULE = `must be from 0 to ${MAX_STABILISATION_MS} ms`;

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function isWindow(value: number): boolean {
  return value >= 0 && value <= MAX_STABILISATION_MS;
}
