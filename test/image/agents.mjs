import { setTimeout as delay } from 'node:timers/promises';
import { defineAgent } from 'troupe';

/** An agent that no image holds: mounted, it finds the Troupe that runs it. */
export const slow = defineAgent({
  kind: 'slow',
  description: 'Takes its time, and says when it begins',
  capabilities: ['slow'],
  run: async (task, ctx) => {
    await ctx.progress(0.1, 'begun');
    await delay(Number(task.text()), undefined, { signal: ctx.signal });
    return { done: true };
  },
});
