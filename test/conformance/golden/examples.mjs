/**
 * Messages of which the bytes are kept beside, by file: [name, type, JSON]. scripts/golden.mjs makes the bytes.
 *
 * A fourth entry tells of bytes that are not what every encoder makes: `append` unknown fields, or whole other `hex` for the same meaning; `also`
 * is what other encoders make, since protobuf leaves it open where the fields of a oneof go, and whether an empty value of a map is written.
 */
const text = (value) => ({ text: value });
const envelope = (name, json, odd) => [`envelope: ${name}`, 'troupe.v1.Envelope', json, odd];
const says = (name, json, odd) => [`a program says: ${name}`, 'troupe.v1.ConnectRequest', json, odd];
const hears = (name, json, odd) => [`a program hears: ${name}`, 'troupe.v1.ConnectResponse', json, odd];

const UINT64_MAX = '18446744073709551615';
const UINT32_MAX = 4_294_967_295;
/** What JavaScript counts exactly: what processes of Troupe make correlation ids and sequences of. */
const SAFE_MAX = '9007199254740991';
const NAME_MAX = `a${'z'.repeat(62)}`;
const SEND = 'ENVELOPE_KIND_SEND';
const REQUEST = 'ENVELOPE_KIND_REQUEST';

const status = {
  code: 9,
  message: 'train it first',
  details: [
    {
      '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
      reason: 'NO_MODEL',
      domain: 'troupe.dev',
      metadata: { model: 'm-1' },
    },
  ],
};

const task = {
  id: 'task-1',
  requiredCapabilities: ['reversing', 'quick'],
  payload: text('one two'),
  deadline: '2026-01-02T03:04:05.678Z',
  labels: { pause_ms: '100' },
};

const EVERY_KIND = [SEND, REQUEST, 'RESPONSE', 'ERROR', 'ACK', 'TASK', 'RESULT', 'CHUNK', 'PROGRESS', 'CANCEL', 'DEMAND'].map(
  (kind) => kind.replace(/^(?!ENVELOPE)/, 'ENVELOPE_KIND_'),
);

const envelopes = [
  envelope('empty', {}),
  ...EVERY_KIND.map((kind) => envelope(`kind ${kind}`, { kind })),
  envelope('correlation_id, the least', { kind: REQUEST, correlationId: '1' }),
  envelope('correlation_id, of two bytes', { kind: REQUEST, correlationId: '128' }),
  envelope('correlation_id, the largest that processes of Troupe give', { kind: REQUEST, correlationId: SAFE_MAX }),
  envelope('from and to', { kind: SEND, from: 'client-1', to: 'notes-1' }),
  envelope('from and to, the longest', { kind: SEND, from: NAME_MAX, to: NAME_MAX }),
  envelope('topic', { kind: SEND, topic: 'orders.eu.created' }),
  envelope('topic, the longest', {
    kind: SEND,
    topic: `${'t'.repeat(63)}.${'u'.repeat(63)}.${'v'.repeat(63)}.${'w'.repeat(63)}`,
  }),
  envelope('payload, none in it', { kind: SEND, payload: {} }),
  envelope('payload, text', { kind: SEND, payload: text('hello') }),
  envelope('payload, empty text', { kind: SEND, payload: text('') }),
  envelope('payload, UTF-8 of one to four bytes', { kind: SEND, payload: text('aß世🎭\u0000\n') }),
  envelope('payload, text of 200 bytes', { kind: SEND, payload: text('x'.repeat(200)) }),
  envelope('payload, bytes', { kind: SEND, payload: { data: Buffer.from([0, 1, 127, 128, 255]).toString('base64') } }),
  envelope('payload, no bytes', { kind: SEND, payload: { data: '' } }),
  envelope('payload, JSON null', { kind: SEND, payload: { json: null } }),
  envelope('payload, JSON true', { kind: SEND, payload: { json: true } }),
  envelope('payload, JSON number', { kind: SEND, payload: { json: -1.5 } }),
  envelope('payload, JSON text', { kind: SEND, payload: { json: 'Grüße' } }),
  envelope('payload, JSON object of one entry', {
    kind: SEND,
    payload: { json: { list: [1, 'two', false, null, { deep: [] }] } },
  }),
  envelope(
    'payload, with its media type',
    { kind: SEND, payload: { text: '<p>', contentType: 'text/html' } },
    { also: '08013210' + '2209746578742f68746d6c' + '12033c703e' },
  ),
  envelope('deadline', { kind: REQUEST, deadline: '2026-01-02T03:04:05Z' }),
  envelope('deadline, of milliseconds', { kind: REQUEST, deadline: '2026-01-02T03:04:05.678Z' }),
  envelope('id', { kind: SEND, id: 'n-1' }),
  envelope('sequence', { kind: 'ENVELOPE_KIND_CHUNK', correlationId: '7', sequence: '300', payload: text('part') }),
  envelope('hops', { kind: SEND, hops: 8 }),
  envelope('headers', { kind: SEND, headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' } }),
  envelope('headers, an empty value', { kind: SEND, headers: { flag: '' } }, { also: '0801' + '5a06' + '0a04666c6167' }),
  envelope('error', { kind: 'ENVELOPE_KIND_ERROR', correlationId: '7', error: status }),
  envelope('task', { kind: 'ENVELOPE_KIND_TASK', correlationId: '7', task, attempt: 1, streaming: true, demand: 16 }),
  envelope('attempt, the largest', { kind: 'ENVELOPE_KIND_TASK', attempt: UINT32_MAX }),
  envelope('result', { kind: 'ENVELOPE_KIND_RESULT', correlationId: '7', result: { payload: text('eno owt') } }),
  envelope('receipts', { kind: 'ENVELOPE_KIND_ACK', correlationId: '7', receipts: { delivered: ['a', 'b'], refused: ['c'] } }),
  envelope('receipts, none', { kind: 'ENVELOPE_KIND_ACK', correlationId: '7', receipts: {} }),
  envelope('streaming and demand', { kind: REQUEST, correlationId: '7', streaming: true, demand: 1_000 }),
  envelope('demand', { kind: 'ENVELOPE_KIND_DEMAND', correlationId: '7', demand: 1 }),
  envelope('wait_for_room', { kind: SEND, waitForRoom: true }),
  envelope('at_least_once', { kind: SEND, id: 'n-1', atLeastOnce: true }),
  envelope('from_node', { kind: SEND, fromNode: 'node-1' }),
  envelope('visited_nodes', { kind: SEND, visitedNodes: ['node-1', 'node-2'] }),
  envelope('progress', { kind: 'ENVELOPE_KIND_PROGRESS', correlationId: '7', progress: { fraction: 0.25, note: 'begun' } }),
  envelope('a whole request', {
    kind: REQUEST,
    correlationId: '300',
    from: 'a',
    to: 'b',
    payload: text('hi'),
    deadline: '1970-01-01T00:00:01.500Z',
    streaming: true,
    demand: 16,
  }),
  envelope('unknown fields are passed over', { kind: SEND, to: 'b' }, { append: 'c03e07' + 'ca3e026869' }),
  envelope('fields in another order', { kind: SEND, to: 'b' }, { hex: '220162' + '0801' }),
  envelope('a field twice: the last counts', { kind: SEND, to: 'b' }, { hex: '0801' + '220161' + '220162' }),
  envelope(
    'zero values that need not be there',
    { kind: SEND, to: 'b' },
    { hex: '0801' + '1000' + '1a00' + '220162' + '880100' },
  ),
  envelope('a number of more bytes than it takes', { kind: SEND, correlationId: '1' }, { hex: '0801' + '10818000' }),
];

const frames = [
  says('hello, a client', { hello: {} }),
  says('hello, an agent', {
    hello: {
      agentId: 'notes-1',
      capabilities: ['notes'],
      topics: ['orders.*', 'news.>'],
      concurrency: 4,
      mailboxCapacity: 100,
      weight: 2,
      metadata: { language: 'python' },
      grace: '10s',
      credit: 1_000,
    },
  }),
  says('hello, the largest bounds', {
    hello: { agentId: NAME_MAX, concurrency: 10_000, mailboxCapacity: 100_000, weight: 1_000, grace: '300s', credit: 1_000_000 },
  }),
  says('hello, without a grace time, one of several', { hello: { agentId: 'notes', replica: true, grace: '0s' } }),
  says('hello, with a resume token', { hello: { resumeToken: 'token', received: '17' } }),
  says('a batch', {
    batch: {
      envelopes: [
        { kind: SEND, to: 'b', payload: text('1') },
        { kind: SEND, to: 'b' },
      ],
      sequence: '1',
    },
  }),
  says('a batch without a number', { batch: { envelopes: [{ kind: 'ENVELOPE_KIND_ACK', correlationId: '3' }] } }),
  says('an empty batch', { batch: {} }),
  says('credit', { credit: { envelopes: 500, received: '12' } }),
  says('credit, the largest', { credit: { envelopes: UINT32_MAX, received: UINT64_MAX } }),
  says('ping', { ping: { id: '1' } }),
  says('ping, the largest', { ping: { id: UINT64_MAX } }),
  says('pong', { pong: { id: '1' } }),
  says('drain', { drain: {} }),
  says('subscriptions', { subscriptions: { subscribe: ['orders.*'], unsubscribe: ['news.>'] } }),
  says('ping with unknown fields', { ping: { id: '1' } }, { append: 'ca3e026869' }),
  hears('welcome', { welcome: { id: 'notes-1', nodeId: 'node-2', resumeToken: 'token', credit: 1_000, grace: '10s' } }),
  hears('welcome, after a stream that broke', {
    welcome: { id: 'notes-1', nodeId: 'node-2', resumeToken: 'token', received: '5', credit: 1_000, grace: '0.500s' },
  }),
  hears('a batch', {
    batch: { envelopes: [{ kind: 'ENVELOPE_KIND_TASK', correlationId: '1', task, attempt: 1 }], sequence: '9' },
  }),
  hears('credit', { credit: { envelopes: 500, received: '12' } }),
  hears('ping', { ping: { id: '7' } }),
  hears('pong', { pong: { id: UINT64_MAX } }),
  hears('drain', { drain: {} }),
  hears('subscriptions', { subscriptions: { topics: ['orders.*'] } }),
  hears('subscriptions, none', { subscriptions: {} }),
];

const tasks = [
  ['run: by capability', 'troupe.v1.RunRequest', { task: { requiredCapabilities: ['notes'], payload: text('hello') } }],
  [
    'run: every field',
    'troupe.v1.RunRequest',
    {
      task: {
        ...task,
        agentId: 'notes-1',
        strategy: 'STRATEGY_CONSISTENT_HASH',
        idempotent: true,
        routingKey: 'customer-7',
        priority: 'PRIORITY_CRITICAL',
        retry: { maxAttempts: 10, initialBackoff: '0.100s', maxBackoff: '60s', hedgingDelay: '0.001s' },
        fallbackCapability: 'copying',
      },
    },
  ],
  ['run: an attempt count of none is not the same as one that is not given', 'troupe.v1.RetryPolicy', { maxAttempts: 0 }],
  [
    'result',
    'troupe.v1.RunResponse',
    {
      result: {
        taskId: 'task-1',
        agentId: 'notes-1',
        nodeId: 'node-1',
        payload: text('ok'),
        attempt: 1,
        duration: '0.012345678s',
        state: 'TASK_STATE_COMPLETED',
      },
    },
  ],
  ['stream: begin', 'troupe.v1.RunStreamRequest', { task: { agentId: 'notes-1' }, resumeWindow: '30s' }],
  ['stream: resume', 'troupe.v1.RunStreamRequest', { resume: { taskId: 'task-1', nodeId: 'node-1', afterCursor: UINT64_MAX } }],
  [
    'event: accepted',
    'troupe.v1.RunStreamResponse',
    { event: { taskId: 't', cursor: '1', time: '2026-01-02T03:04:05.678Z', accepted: {} } },
  ],
  ['event: routed', 'troupe.v1.TaskEvent', { taskId: 't', cursor: '2', routed: { agentId: 'a', nodeId: 'n', attempt: 1 } }],
  ['event: chunk', 'troupe.v1.TaskEvent', { taskId: 't', cursor: '3', chunk: { sequence: '1', payload: text('part') } }],
  ['event: progress', 'troupe.v1.TaskEvent', { taskId: 't', cursor: '4', progress: { fraction: 1, note: 'done' } }],
  [
    'event: result',
    'troupe.v1.TaskEvent',
    { taskId: 't', cursor: '5', result: { taskId: 't', fallbackCapability: 'copying', defaultAnswer: true } },
  ],
  [
    'watch: an instance',
    'troupe.v1.Instance',
    {
      id: 'a',
      service: 'agent',
      endpoint: { host: '::1', port: 65_535 },
      status: 'INSTANCE_STATUS_UP',
      weight: 1,
      incarnation: '9223372036854775807',
      revision: '-1',
      score: 0.1,
    },
  ],
];

export const EXAMPLES = { envelopes, frames, tasks };
