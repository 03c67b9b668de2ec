import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { context, createTraceState, propagation, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { createChannel, createClient, Metadata } from 'nice-grpc';
import type { TroupeClient } from '../../src/client/client.js';
import { NodeDefinition } from '../../src/gen/troupe/v1/node.js';
import { RegistryDefinition } from '../../src/gen/troupe/v1/registry.js';
import { cleanUp } from '../support/clean-up.js';
import { type Collector, type ReceivedSpan, startCollector } from '../support/collector.js';
import { eventually } from '../support/eventually.js';
import { ROOT } from '../support/processes.js';
import { client, type Role, startGateway, startNode, startRegistry, startRole } from '../support/roles.js';

const TRACED = join(ROOT, 'test', 'support', 'agents', 'traced.mjs');
const SENT_WITHIN = { timeoutMs: 20_000 };

type Headers = Readonly<Record<string, string>>;

interface Done {
  readonly spanId: string;
  readonly active: string | null;
  readonly recording: boolean;
  readonly told: { readonly spanId: string; readonly headers: Headers };
  readonly traceparent: string | null;
  readonly headers: Headers;
}

describe('a trace', () => {
  let collector: Collector;
  let node: Role;
  let gateway: Role;
  let troupe: TroupeClient;
  const sent = new InMemorySpanExporter();

  beforeAll(async () => {
    collector = await startCollector();
    // The program of the client decides, and everybody else goes by that: their own ratio is 0.
    const exporting = ['--otlp-endpoint', collector.endpoint, '--trace-ratio', '0'];
    const registry = await startRegistry(...exporting);
    gateway = await startGateway(registry.address, ...exporting);
    node = await startRole('node', ['--id', 'node-1', '--registry', registry.address, '--agents', TRACED, ...exporting]);
    const other = await startRole('node', ['--id', 'node-2', '--registry', registry.address, '--agents', TRACED, ...exporting]);
    troupe = client(gateway.address);
    await troupe.deploy({ id: 'traced-1', kind: 'traced' }, node.id);
    await troupe.deploy({ id: 'told-1', kind: 'told' }, other.id);
    const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(sent)] });
    provider.register();
    cleanUp(async () => {
      trace.disable();
      context.disable();
      propagation.disable();
      await provider.shutdown();
    });
  }, 40_000);

  const lastTraceId = () => sent.getFinishedSpans().at(-1)?.spanContext().traceId ?? '';
  const ofTrace = (traceId: string) => collector.spans.filter((span) => span.traceId === traceId);
  const named = (spans: readonly ReceivedSpan[], name: string) => spans.filter((span) => span.name === name);

  it('goes from the client through gateway and node to the agent, to what its code does, and on with its messages', async () => {
    const done = (await troupe.run('tracing', 'please')).json<Done>();
    const calling = sent.getFinishedSpans().findLast(({ name }) => name === 'troupe.v1.Tasks/Run');
    const traceId = calling?.spanContext().traceId ?? '';
    const spans = await eventually(() => {
      const got = ofTrace(traceId);
      expect(named(got, 'troupe.message told')).toHaveLength(2);
      for (const name of ['troupe.v1.Tasks/Run', 'troupe.task.attempt', 'troupe.agent traced', 'read the file'])
        expect(named(got, name)).toHaveLength(1);
      return got;
    }, SENT_WITHIN);
    const one = (name: string) => named(spans, name)[0] as ReceivedSpan;
    const [server, attempt, agent] = [one('troupe.v1.Tasks/Run'), one('troupe.task.attempt'), one('troupe.agent traced')];
    expect(calling?.attributes).toMatchObject({
      'rpc.method': 'troupe.v1.Tasks/Run',
      'rpc.response.status_code': 'OK',
      'server.address': '127.0.0.1',
      'server.port': Number(gateway.address.split(':')[1]),
    });
    expect(server).toMatchObject({ service: 'troupe-gateway', kind: 2, parentSpanId: calling?.spanContext().spanId });
    expect(server.attributes).toEqual({
      'rpc.system.name': 'grpc',
      'rpc.method': 'troupe.v1.Tasks/Run',
      'rpc.response.status_code': 'OK',
    });
    expect(attempt).toMatchObject({ service: 'troupe-gateway', kind: 3, parentSpanId: server.spanId });
    expect(attempt.attributes).toMatchObject({
      'troupe.agent.id': 'traced-1',
      'troupe.node.id': 'node-1',
      'troupe.task.attempt': '1',
    });
    expect(agent).toMatchObject({
      service: 'troupe-node',
      kind: 2,
      parentSpanId: attempt.spanId,
      events: ['looked up'],
      status: 0,
    });
    expect(agent.attributes).toMatchObject({ invoice: 'F-17', 'troupe.agent.kind': 'traced' });
    expect(one('read the file').parentSpanId).toBe(agent.spanId);
    for (const message of named(spans, 'troupe.message told'))
      expect(message).toMatchObject({ service: 'troupe-node', kind: 5, parentSpanId: agent.spanId, events: ['noted'] });
    const messages = named(spans, 'troupe.message told').map(({ attributes }) => attributes);
    expect(messages.map((attributes) => attributes['troupe.message.kind']).sort()).toEqual(['request', 'send']);
    for (const attributes of messages)
      expect(attributes).toMatchObject({
        'messaging.system': 'troupe',
        'messaging.operation.type': 'process',
        'messaging.destination.name': 'told-1',
        'troupe.message.from': 'traced-1',
      });
    // What the agent's author sees is that span, and what it is active for.
    expect(done).toMatchObject({ spanId: agent.spanId, recording: true });
    // Before Node.js 24 that would cost too much.
    expect(done.active).toBe(Number(process.versions.node.split('.', 1)[0]) >= 24 ? agent.spanId : null);
    expect(done.traceparent).toBe(`00-${traceId}-${agent.spanId}-01`);
    expect(named(spans, 'troupe.message told').map(({ spanId }) => spanId)).toContain(done.told.spanId);
  });

  it("says what failed; the agent's log lines and its own have the ids of the trace", async () => {
    await expect(troupe.run('tracing', 'fail')).rejects.toMatchObject({ reason: 'AGENT_ERROR' });
    const failed = sent.getFinishedSpans().at(-1);
    const traceId = failed?.spanContext().traceId ?? '';
    expect(failed?.status.code).toBe(2);
    const spans = await eventually(() => {
      const got = ofTrace(traceId);
      expect(got.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['troupe.v1.Tasks/Run', 'troupe.task.attempt', 'troupe.agent traced']),
      );
      return got;
    }, SENT_WITHIN);
    for (const name of ['troupe.v1.Tasks/Run', 'troupe.task.attempt', 'troupe.agent traced'])
      expect(named(spans, name)[0]).toMatchObject({ status: 2, attributes: { 'error.type': 'AGENT_ERROR' } });
    const lines = node.process.stderr.split('\n').filter((line) => line.includes(traceId));
    const said = lines.map((line) => JSON.parse(line) as { msg: string; span_id: string });
    expect(said.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['at work', 'agent failed a task']));
    expect(new Set(said.map(({ span_id }) => span_id)).size).toBe(1);
  });

  it('that its caller does not sample makes no spans anywhere, and goes on all the same', async () => {
    const traceparent = `00-${'5'.repeat(32)}-${'6'.repeat(16)}-00`;
    const done = (await troupe.run('tracing', 'please', { traceparent })).json<Done>();
    expect(done).toMatchObject({ recording: false, traceparent, spanId: '6'.repeat(16) });
    // What was sent after it has arrived.
    await troupe.run('tracing', 'please');
    const last = sent.getFinishedSpans().at(-1)?.spanContext().traceId ?? '';
    await eventually(() => expect(named(ofTrace(last), 'troupe.agent traced')).toHaveLength(1), SENT_WITHIN);
    expect(ofTrace('5'.repeat(32))).toEqual([]);
  });

  it('has what its caller said beside it, all the way', async () => {
    const traceparent = `00-${'7'.repeat(32)}-${'8'.repeat(16)}-01`;
    const given = { tracestate: 'shop=a:1,other@t=2', baggage: 'user=ada;p=1, cart=17' };
    const done = (await troupe.run('tracing', 'please', { traceparent, ...given })).json<Done>();
    expect(done.headers).toEqual({ ...given, traceparent: done.traceparent });
    expect(done.told.headers).toEqual({ ...given, traceparent: `00-${'7'.repeat(32)}-${done.told.spanId}-01` });
    // What is not valid goes no further, and holds nothing up.
    const bad = { traceparent, tracestate: 'no', baggage: 'x'.repeat(9_000) };
    expect(Object.keys((await troupe.run('tracing', 'please', bad)).json<Done>().headers)).toEqual(['traceparent']);
  });

  it("has what the client's program said by OpenTelemetry", async () => {
    const spanContext = {
      traceId: '9'.repeat(32),
      spanId: 'a'.repeat(16),
      traceFlags: 1,
      traceState: createTraceState('shop=1'),
    };
    const baggage = propagation.createBaggage({ user: { value: 'ada' } });
    const around = propagation.setBaggage(trace.setSpanContext(context.active(), spanContext), baggage);
    const done = (await context.with(around, () => troupe.run('tracing', 'please'))).json<Done>();
    expect(done.headers).toMatchObject({ tracestate: 'shop=1', baggage: 'user=ada' });
    expect(done.traceparent).toMatch(/^00-9{32}-/);
  });

  it('has the work of an attached program in it, which goes on with it', async () => {
    let seen: Headers = {};
    const program = await troupe.attachAgent({
      id: 'program-1',
      capabilities: ['programming'],
      run: async (_task, ctx) => {
        const told = (await ctx.request('told-1', 'how many?')).json<Done['told']>();
        return { headers: ctx.traceHeaders, told };
      },
      receive: (_message, ctx) => {
        seen = ctx.traceHeaders;
      },
    });
    cleanUp(() => program.close());
    const done = await eventually(async () => (await troupe.run('programming', '', { baggage: 'user=ada' })).json<Done>());
    const traceId = lastTraceId();
    const work = await eventually(() => {
      const [span] = named(ofTrace(traceId), 'troupe.agent attached');
      expect(span).toMatchObject({ service: 'troupe-node', kind: 2, status: 0 });
      return span as ReceivedSpan;
    }, SENT_WITHIN);
    expect(work.attributes).toMatchObject({ 'troupe.agent.id': 'program-1' });
    expect(done.headers).toEqual({ traceparent: `00-${traceId}-${work.spanId}-01`, baggage: 'user=ada' });
    expect(done.told.headers).toEqual({ traceparent: `00-${traceId}-${done.told.spanId}-01`, baggage: 'user=ada' });

    await troupe.send('program-1', 'a word', { baggage: 'user=ada' });
    const handled = await eventually(() => {
      const [span] = named(ofTrace(lastTraceId()), 'troupe.message attached');
      expect(span).toMatchObject({ service: 'troupe-node', kind: 5, status: 0 });
      return span as ReceivedSpan;
    }, SENT_WITHIN);
    expect(seen).toEqual({ traceparent: `00-${handled.traceId}-${handled.spanId}-01`, baggage: 'user=ada' });
  }, 30_000);

  it('goes on where a call is answered that the gateway forwards', async () => {
    const channel = createChannel(gateway.address);
    cleanUp(() => channel.close());
    const traceId = 'b'.repeat(32);
    const metadata = Metadata({ traceparent: `00-${traceId}-${'c'.repeat(16)}-01` });
    await createClient(NodeDefinition, channel).listAgents({ nodeId: node.id }, { metadata });
    await createClient(RegistryDefinition, channel).getStats({}, { metadata });
    await eventually(() => {
      for (const [name, service] of [
        ['troupe.v1.Node/ListAgents', 'troupe-node'],
        ['troupe.v1.Registry/GetStats', 'troupe-registry'],
      ] as const) {
        const spans = named(ofTrace(traceId), name);
        const asked = spans.find((span) => span.service === 'troupe-gateway');
        expect(spans.find((span) => span.service === service)?.parentSpanId).toBe(asked?.spanId ?? 'no span');
      }
    }, SENT_WITHIN);
  });

  it('comes with metrics, which the collector gets as well', async () => {
    await troupe.run('tracing', 'please');
    await eventually(
      () => {
        for (const name of [
          'troupe.task.duration',
          'troupe.execution.duration',
          'troupe.rpc.server.duration',
          'troupe.lease.age',
        ])
          expect(collector.metrics).toContain(name);
      },
      { timeoutMs: 25_000 },
    );
  }, 30_000);
});

describe('a collector that is not there, or takes nothing,', () => {
  it('is looked for on the port that was given, also where that is the one of http', async () => {
    const registry = await startRegistry('--otlp-endpoint', 'http://127.0.0.1:80');
    await registry.process.kill('SIGTERM');
    expect(registry.process.stderr).toContain('the collector does not take telemetry; it is dropped');
    expect(registry.process.stderr).not.toContain('127.0.0.1:443');
  });

  it('holds up neither work nor the end of a process, and is told of once', async () => {
    const sockets = new Set<Socket>();
    const frozen = createServer((socket) => void sockets.add(socket));
    await new Promise<void>((resolve) => frozen.listen(0, '127.0.0.1', resolve));
    const address = frozen.address();
    cleanUp(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => frozen.close(resolve));
    });
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const registry = await startRegistry();
    const [silent, absent] = await Promise.all(
      [`http://127.0.0.1:${port}`, 'http://127.0.0.1:1'].map((endpoint, index) =>
        startNode(`node-${index}`, registry.address, '--otlp-endpoint', endpoint, '--trace-ratio', '1'),
      ),
    );
    for (const node of [silent, absent] as Role[]) {
      const troupe = client(node.address);
      await troupe.deploy({ id: `echo-at-${node.id}`, kind: 'echo' });
      // More than a queue holds.
      for (let round = 0; round < 30; round++)
        await Promise.all(Array.from({ length: 100 }, () => troupe.run('echo', 1, { agentId: `echo-at-${node.id}` })));
    }
    await eventually(
      () => expect((absent as Role).process.stderr).toContain('the collector does not take telemetry; it is dropped'),
      SENT_WITHIN,
    );
    expect((absent as Role).process.stderr.split('it is dropped')).toHaveLength(2);
    for (const node of [silent, absent] as Role[]) {
      const from = performance.now();
      expect(await node.process.kill('SIGTERM')).toEqual({ code: 0, signal: null });
      // Messaging ends within 1.5 s; the rest is what is waited for a collector.
      expect(performance.now() - from).toBeLessThan(8_000);
    }
  }, 60_000);
});
