import { defineAgent } from 'troupe';

export default defineAgent({
  kind: 'greeter',
  description: 'Says hello',
  capabilities: ['greeting'],
  run: async (task, ctx) => {
    const name = task.text() || 'world';
    await ctx.progress(0.5, `thinking of ${name}`);
    return { greeting: `Hello, ${name}!`, from: ctx.agentId };
  },
});
