import { describe, expect, it } from '@jest/globals';
import { defineAgent } from '../../../src/agent/define-agent.js';
import { startNode } from '../../../src/app/start-node.js';

const agents = [defineAgent({ kind: 'a', capabilities: ['a'], run: () => null })];

describe('startNode refuses, and names the field:', () => {
  it.each([
    ['traceRatio', { traceRatio: 5 }],
    ['traceRatio', { traceRatio: Number.NaN }],
    ['otlpEndpoint', { otlpEndpoint: 'collector:4317' }],
    ['otlpEndpoint', { otlpEndpoint: 'http://collector:99999' }],
    ['otlpEndpoint', { otlpEndpoint: 'http://collector:4318/v1/traces' }],
    ['registry', { registry: ['a:0'] }],
    ['registry', { registry: [] }],
    ['advertiseHost', { advertiseHost: '0.0.0.0' }],
    ['opsPort', { opsPort: 70_000 }],
    ['opsPort', { opsPort: Number.NaN }],
    ['opsPort', { opsPort: 'metrics' as unknown as number }],
  ])('%s of %p', async (field, options) => {
    await expect(startNode({ agents, ...options })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(field),
    });
  });
});
