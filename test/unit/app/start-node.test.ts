import { describe, expect, it } from '@jest/globals';
import { defineAgent } from '../../../src/agent/define-agent.js';
import { startNode } from '../../../src/app/start-node.js';

const agents = [defineAgent({ kind: 'a', capabilities: ['a'], run: () => null })];

describe('startNode refuses, and names the field:', () => {
  it.each([
    ['traceRatio', { traceRatio: 5 }],
    ['traceRatio', { traceRatio: Number.NaN }],
    ['otlpEndpoint', { otlpEndpoint: 'collector:4317' }],
    ['otlpEndpoint', { otlpEndpoint: 'http://a collector:4317' }],
  ])('%s of %p', async (field, options) => {
    await expect(startNode({ agents, ...options })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(field),
    });
  });

  it('an operations port that cannot be one', async () => {
    await expect(startNode({ agents, opsPort: 70_000 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
