/** What an instrument measures, once and for all: a metric that is not named here does not exist. */
export interface Instrument<Label extends string = string> {
  /** `counter`: only grows. `gauge`: as it is now. `histogram`: how values are spread over `buckets`. */
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** As OpenTelemetry names it; `prometheusName` gives the other form. */
  readonly name: string;
  /** UCUM: s, By; '1' for a plain number. */
  readonly unit: 's' | 'By' | '1';
  readonly labels: readonly Label[];
  readonly description: string;
  /** Upper bounds, in its unit; of histograms only. */
  readonly buckets?: readonly number[];
}

/** From a call within a process to the longest deadline that is usual; steps of 2 to 2.5. */
const CALL_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Work of agents goes on for minutes: deadlines are an hour at most. */
const WORK_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600];
/** A store that takes more than a second is as good as away. */
const STORE_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const counter = define('counter');
const gauge = define('gauge');

/**
 * Every instrument of every role. Labels are bounded: methods, codes, kinds and capabilities that exist, states; never an id. Names
 * of `process.` are those that Prometheus' own clients use.
 */
export const INSTRUMENTS = {
  buildInfo: gauge('troupe.build_info', '1', ['version', 'role'], 'Always 1: which version runs, in which role.'),
  processCpu: counter('process.cpu', 's', [], 'User and system CPU time of the process.'),
  processMemory: gauge('process.resident_memory', 'By', [], 'Resident memory of the process.'),
  processHeap: gauge('troupe.process.heap', 'By', [], "What lives on V8's heap."),
  processStart: gauge('process.start_time', 's', [], 'When the process started, since the epoch.'),
  eventLoopDelay: gauge('troupe.event_loop.delay', 's', [], 'How late the event loop was in the last second, 99th percentile.'),

  rpcDuration: histogram(
    'troupe.rpc.server.duration',
    's',
    ['method', 'code'],
    CALL_SECONDS,
    'Unary calls answered, by method and gRPC code.',
  ),
  rpcStreams: gauge('troupe.rpc.server.streams', '1', ['method'], 'Streams that are open.'),
  rpcStreamsEnded: counter('troupe.rpc.server.streams_ended', '1', ['method', 'code'], 'Streams that have ended.'),

  taskDuration: histogram(
    'troupe.task.duration',
    's',
    ['capability', 'code'],
    WORK_SECONDS,
    'Tasks that this router was asked for, from the call to its end, all tries together.',
  ),
  taskAttempts: counter(
    'troupe.task.attempts',
    '1',
    ['capability', 'outcome'],
    'Tries on agents: completed, answered (with an error), not_started, canceled (nobody waits any more), unknown, failed (by a fault of the router).',
  ),
  taskRefused: counter(
    'troupe.task.refused',
    '1',
    ['reason'],
    'Tasks that this router refused itself, by its policy or as malformed: they are in no other instrument of tasks.',
  ),
  taskInFlight: gauge('troupe.task.in_flight', '1', [], 'Tasks under way at this router.'),

  executionDuration: histogram(
    'troupe.execution.duration',
    's',
    ['kind', 'code'],
    WORK_SECONDS,
    'Tasks that agents of this node were given, from arrival to end, with the wait in the mailbox.',
  ),
  executionWait: histogram(
    'troupe.execution.wait',
    's',
    ['kind'],
    WORK_SECONDS,
    'How long tasks waited in the mailbox before their agent took them.',
  ),
  executionRefused: counter('troupe.execution.refused', '1', ['reason'], 'Tasks that were not let into a mailbox.'),
  tasksInFlight: gauge('troupe.node.tasks.in_flight', '1', [], 'Tasks that agents of this node work on.'),
  tasksQueued: gauge('troupe.node.tasks.queued', '1', [], 'Tasks that wait in mailboxes of this node.'),
  nodeAgents: gauge('troupe.node.agents', '1', ['kind'], 'Agents that this node hosts.'),

  mailboxMessages: gauge('troupe.mailbox.messages', '1', [], 'Messages that wait in mailboxes of this node.'),
  messages: counter(
    'troupe.messages',
    '1',
    ['kind', 'outcome'],
    'Messages and answers that reached this process for an agent or client of its own: taken, or refused.',
  ),
  deadLetters: counter('troupe.dead_letters', '1', ['reason'], 'Messages that could not be delivered.'),
  sessions: gauge('troupe.sessions', '1', ['kind'], 'Attached programs: agents and clients.'),
  topics: gauge('troupe.topics', '1', [], 'Topic patterns that agents and clients of this process subscribe to.'),

  links: gauge('troupe.links', '1', ['state'], 'Links to other processes.'),
  linkSent: counter('troupe.link.sent', 'By', [], 'Bytes of frames written to links.'),
  linkReceived: counter('troupe.link.received', 'By', [], 'Bytes of frames read from links.'),
  linkSentEnvelopes: counter('troupe.link.sent_envelopes', '1', [], 'Envelopes written to links.'),
  linkReceivedEnvelopes: counter('troupe.link.received_envelopes', '1', [], 'Envelopes read from links.'),
  linkQueued: gauge('troupe.link.queued', 'By', [], 'Bytes that wait to be written to links.'),

  circuitTransitions: counter('troupe.circuit.transitions', '1', ['to'], 'Changes of circuits of nodes and agents.'),
  healthTransitions: counter('troupe.health.transitions', '1', ['to'], 'Changes of what a router or the prober takes nodes for.'),
  endpoints: gauge('troupe.endpoints', '1', ['service', 'state'], 'Nodes and agents in the view of this process, by state.'),

  leaseAge: gauge('troupe.lease.age', 's', [], 'Time since the last renewal that the registry acknowledged was sent.'),
  leaseTtl: gauge('troupe.lease.ttl', 's', [], 'Life of the lease.'),
  leaseLost: counter('troupe.lease.lost', '1', [], 'Leases that ended without being given back.'),
  viewAge: gauge('troupe.view.age', 's', [], 'Age of what this process knows of the cluster.'),
  viewInstances: gauge('troupe.view.instances', '1', ['service'], 'Instances in the view of this process.'),

  storeDuration: histogram(
    'troupe.store.duration',
    's',
    ['operation', 'code'],
    STORE_SECONDS,
    'Operations of the store as the registry sees them.',
  ),
  registryWatchers: gauge('troupe.registry.watchers', '1', [], 'Watches that this registry serves.'),
  registryLeading: gauge('troupe.registry.leading', '1', [], '1 where this registry leads.'),
  registryInstances: gauge('troupe.registry.instances', '1', ['service'], 'Instances that are registered.'),
  registryMirrorAge: gauge('troupe.registry.mirror.age', 's', [], "Age of this registry's mirror of the store."),
} as const;

/** The form of a name in Prometheus' exposition: the unit is part of it, and counters end in `_total`. */
export function prometheusName({ kind, name, unit }: Pick<Instrument, 'kind' | 'name' | 'unit'>): string {
  const base = `${name.replaceAll('.', '_')}${{ s: '_seconds', By: '_bytes', '1': '' }[unit]}`;
  return kind === 'counter' ? `${base}_total` : base;
}

function define<Kind extends 'counter' | 'gauge'>(kind: Kind) {
  return <const Label extends string>(name: string, unit: Instrument['unit'], labels: readonly Label[], description: string) => ({
    kind,
    name,
    unit,
    labels,
    description,
  });
}

function histogram<const Label extends string>(
  name: string,
  unit: Instrument['unit'],
  labels: readonly Label[],
  buckets: readonly number[],
  description: string,
) {
  return { kind: 'histogram' as const, name, unit, labels, buckets, description };
}
