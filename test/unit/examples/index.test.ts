import { describe, expect, it } from '@jest/globals';
import type { AgentDefinition } from 'troupe';
import agents, * as named from '../../../examples/agents/index.js';
import { activate, jsonOf } from '../../support/agent-context.js';

/** Plain JavaScript, of no known type. */
const HELLO: string = '../../../examples/agents/hello.mjs';

describe('the example agents', () => {
  it('are four kinds, by name and as a list', () => {
    expect(agents.map(({ kind }) => kind)).toEqual(['data', 'code', 'test', 'ai']);
    for (const agent of agents) expect(named).toHaveProperty(agent.kind, agent);
  });

  it('offer what the demonstration deploys', () => {
    expect(Object.fromEntries(agents.map(({ kind, capabilities }) => [kind, capabilities]))).toEqual({
      data: ['data_processing', 'analysis', 'visualization'],
      code: ['code_generation', 'review'],
      test: ['testing', 'quality_assurance'],
      ai: ['inference', 'model_training'],
    });
  });

  it.each(agents.map((agent) => [agent.kind, agent] as const))(
    '%s refuses a payload that is not an object',
    async (_kind, agent) => {
      const run = await activate<unknown, unknown>(agent as Parameters<typeof activate<unknown, unknown>>[0]);
      for (const payload of [['a'], 5, null, 'not JSON'])
        await expect(run({ payload, require: agent.capabilities.slice(0, 1) })).rejects.toMatchObject({
          code: 'INVALID_ARGUMENT',
        });
    },
  );
});

describe('hello.mjs', () => {
  it('greets by name', async () => {
    const { default: hello }: { default: AgentDefinition } = await import(HELLO);
    const run = await activate(hello);
    const { result } = await run({ payload: 'Ada', require: ['greeting'] });
    expect(jsonOf(result)).toEqual({ greeting: 'Hello, Ada!', from: 'greeter-1' });
  });
});
