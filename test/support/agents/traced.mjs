// Agents for tests of traces: one does a task with a span of its own inside and sends a message to the other.
import { context, trace } from '@opentelemetry/api';
import { defineAgent } from 'troupe';

export const traced = defineAgent({
  kind: 'traced',
  capabilities: ['tracing'],
  run: async (task, ctx) => {
    ctx.span.setAttribute('invoice', 'F-17');
    ctx.span.addEvent('looked up');
    ctx.logger.warn('at work');
    const active = trace.getActiveSpan()?.spanContext().spanId ?? null;
    trace.getTracer('shop').startSpan('read the file', {}, trace.setSpan(context.active(), ctx.span)).end();
    if (task.text() === 'fail') throw new Error('no such invoice');
    await ctx.send('told-1', 'an invoice');
    const answer = await ctx.request('told-1', 'how many?');
    return {
      spanId: ctx.span.spanContext().spanId,
      active,
      recording: ctx.span.isRecording(),
      told: answer.json(),
      traceparent: ctx.traceparent ?? null,
      headers: ctx.traceHeaders,
    };
  },
});

let told = 0;

export const toldAgent = defineAgent({
  kind: 'told',
  capabilities: ['being-told'],
  run: () => null,
  receive: (message, ctx) => {
    told += 1;
    ctx.span.addEvent('noted');
    return message.kind === 'request' ? { told, spanId: ctx.span.spanContext().spanId, headers: ctx.traceHeaders } : undefined;
  },
});
