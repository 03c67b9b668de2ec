import { z } from 'zod';
import { STRATEGY_NAMES, type StrategyName } from '../balancer/strategies.js';
import { type FieldViolation, invalidFields } from '../core/errors.js';
import { ID_PATTERN, ID_RULE } from '../core/ids.js';
import type { Json } from '../core/json.js';
import { type Payload, toPayload } from '../core/payload.js';
import type { RateLimit } from '../resilience/token-bucket.js';
import { encodePayload } from '../rpc/codec/payload.js';

/** What a router does with tasks, by what they need and by who sends them. */
export interface RoutingPolicy {
  readonly capabilities: ReadonlyMap<string, CapabilityPolicy>;
  /** For each caller that is not named in `callers`; undefined: no limit. */
  readonly perCaller: RateLimit | undefined;
  readonly callers: ReadonlyMap<string, RateLimit>;
}

export interface CapabilityPolicy {
  /** For tasks that name none. */
  readonly strategy?: StrategyName | undefined;
  readonly rateLimit?: RateLimit | undefined;
  /** The capability that does it instead where no agent can take the task. */
  readonly fallback?: string | undefined;
  /** An encoded payload: the result where no agent can take the task, and no fallback either. */
  readonly defaultAnswer?: Buffer | undefined;
}

export const NO_POLICY: RoutingPolicy = { capabilities: new Map(), perCaller: undefined, callers: new Map() };

/** As in a policy file; see docs/guides/routing.md. */
export interface RoutingPolicyInput {
  readonly capabilities?: Readonly<
    Record<
      string,
      {
        readonly strategy?: StrategyName;
        readonly rateLimit?: RateLimitInput;
        readonly fallback?: string;
        readonly defaultAnswer?: { readonly json: Json } | { readonly text: string };
      }
    >
  >;
  readonly perCaller?: RateLimitInput;
  readonly callers?: Readonly<Record<string, RateLimitInput>>;
}

export interface RateLimitInput {
  /** Tasks a second in the long run: 0.001 to 1,000,000. */
  readonly perSecond: number;
  /** Tasks at once after a pause, at least 1; `perSecond`, and at least 1, when not given. */
  readonly burst?: number;
}

const MAX_RATE = 1_000_000;
/** One task an hour, nearly. */
const MIN_RATE = 0.001;
const MAX_ANSWER_BYTES = 1024 * 1024;
const MAX_ENTRIES = 10_000;
/** Fallbacks of fallbacks. */
export const MAX_FALLBACKS = 4;

const rateLimit = z
  .strictObject({
    perSecond: z.number().min(MIN_RATE, `must be at least ${MIN_RATE}`).max(MAX_RATE),
    burst: z.number().int().min(1, 'must be at least 1').max(MAX_RATE).optional(),
  })
  .transform(({ perSecond, burst }) => ({ perSecond, burst: burst ?? Math.max(1, Math.ceil(perSecond)) }));

const id = z.string().regex(ID_PATTERN, ID_RULE);

const capability = z.strictObject({
  strategy: z.enum(STRATEGY_NAMES as [StrategyName, ...StrategyName[]]).optional(),
  rateLimit: rateLimit.optional(),
  fallback: id.optional(),
  defaultAnswer: z.union([z.strictObject({ json: z.json() }), z.strictObject({ text: z.string() })]).optional(),
});

const schema = z.strictObject({
  capabilities: z.record(id, capability).optional(),
  perCaller: rateLimit.optional(),
  callers: z.record(id, rateLimit).optional(),
});

/** Reads a policy as it stands in a file. @throws INVALID_ARGUMENT naming every wrong field as `policy.…`, fallbacks that loop among them. */
export function parseRoutingPolicy(input: unknown): RoutingPolicy {
  const forbidden = prototypeKeys(input, 'policy');
  if (forbidden.length > 0) throw invalidFields(forbidden);
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw invalidFields(parsed.error.issues.flatMap(violationsOf));
  const { capabilities = {}, perCaller, callers = {} } = parsed.data;
  const policy: RoutingPolicy = {
    capabilities: new Map(
      Object.entries(capabilities).map(([name, { defaultAnswer, ...rest }]) => [
        name,
        { ...rest, defaultAnswer: defaultAnswer === undefined ? undefined : encodePayload(payloadOf(defaultAnswer)) },
      ]),
    ),
    perCaller,
    callers: new Map(Object.entries(callers)),
  };
  const wrong = [
    ...tooMany('policy.capabilities', policy.capabilities.size),
    ...tooMany('policy.callers', policy.callers.size),
    ...loops(policy),
    ...largeAnswers(policy),
  ];
  if (wrong.length > 0) throw invalidFields(wrong);
  return policy;
}

/**
 * The capabilities that may do a task instead, in order: the task's own fallback, then those that the policy has for what comes before.
 * @throws INVALID_ARGUMENT naming `task.fallback_capability` when they loop.
 */
export function fallbacksOf(required: readonly string[], own: string, { capabilities }: RoutingPolicy): readonly string[] {
  const first = own === '' ? required.map((name) => capabilities.get(name)?.fallback).find((name) => name !== undefined) : own;
  if (first === undefined) return NONE;
  const chain: string[] = [];
  for (let next: string | undefined = first; next !== undefined && chain.length < MAX_FALLBACKS; ) {
    if (required.includes(next) || chain.includes(next)) {
      // The policy's own do not loop: what comes before is the task's.
      const path = [...required, ...chain, next].join(' → ');
      throw invalidFields([{ field: 'task.fallback_capability', description: `loops: ${path}; name another, or none` }]);
    }
    chain.push(next);
    next = capabilities.get(next)?.fallback;
  }
  return chain;
}

const NONE: readonly string[] = [];

function payloadOf(answer: { readonly json?: unknown } | { readonly text: string }): Payload {
  return 'text' in answer ? toPayload(answer.text) : { kind: 'json', json: (answer as { json: Json }).json };
}

function tooMany(field: string, count: number): FieldViolation[] {
  return count > MAX_ENTRIES ? [{ field, description: `at most ${MAX_ENTRIES} entries are allowed, got ${count}` }] : [];
}

function largeAnswers({ capabilities }: RoutingPolicy): FieldViolation[] {
  return [...capabilities].flatMap(([name, { defaultAnswer }]) =>
    (defaultAnswer?.length ?? 0) > MAX_ANSWER_BYTES
      ? [{ field: `policy.capabilities.${name}.defaultAnswer`, description: `must be at most ${MAX_ANSWER_BYTES} bytes` }]
      : [],
  );
}

function loops({ capabilities }: RoutingPolicy): FieldViolation[] {
  const violations: FieldViolation[] = [];
  for (const name of capabilities.keys()) {
    const path = [name];
    for (let next = capabilities.get(name)?.fallback; next !== undefined; next = capabilities.get(next)?.fallback) {
      path.push(next);
      if (next === name) {
        violations.push({ field: `policy.capabilities.${name}.fallback`, description: `loops: ${path.join(' → ')}` });
        break;
      }
      // Another loop, which is told where it begins.
      if (path.indexOf(next) < path.length - 1) break;
      if (path.length > MAX_FALLBACKS + 1) {
        violations.push({
          field: `policy.capabilities.${name}.fallback`,
          description: `at most ${MAX_FALLBACKS} fallbacks may follow each other: ${path.join(' → ')}`,
        });
        break;
      }
    }
  }
  return violations;
}

/** A key that is none: readers of objects lose it in silence. */
function prototypeKeys(value: unknown, at: string): FieldViolation[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    key === '__proto__' ? [{ field: `${at}.${key}`, description: 'is not a name' }] : prototypeKeys(item, `${at}.${key}`),
  );
}

function violationsOf(issue: z.core.$ZodIssue): FieldViolation[] {
  const at = ['policy', ...issue.path.map(String)].join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: `${at}.${key}`, description: 'is not a field of a routing policy' }));
  }
  return [{ field: at, description: issue.message }];
}
