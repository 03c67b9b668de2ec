import { defineAgent, TroupeError } from 'troupe';
import { z } from 'zod';
import { evaluate } from './classifier/evaluate.js';
import { type Example, type Model, predict, train } from './classifier/naive-bayes.js';
import { checkExamples, readExamples } from './classifier/read-examples.js';
import { exactlyOne, readBody } from './input/body.js';
import { readOwnFile } from './input/own-files.js';
import { chooseWork } from './input/work.js';

const WORK = ['inference', 'model_training'] as const;
const MAX_EXAMPLES = 100_000;

const Text = z.string({ error: 'give the text to classify' }).min(1).max(100_000);
const Body = z.strictObject({
  do: z.enum(WORK).optional(),
  text: Text.optional(),
  path: z.string().min(1).optional(),
  examples: z
    .array(z.strictObject({ text: z.string().min(1), label: z.string().min(1).max(100) }))
    .max(MAX_EXAMPLES)
    .optional(),
});
const TrainingBody = Body.omit({ text: true }).refine(...exactlyOne(['path', 'examples']));
const InferenceBody = Body.omit({ path: true, examples: true }).extend({ text: Text });

/** Where inference learns from when nobody has trained the agent; without it, from tickets that come with the agent. */
const Config = z.strictObject({ data: z.string().min(1).optional() });

/**
 * A classifier of short texts (multinomial naive Bayes) that learns from labelled examples and keeps what it learned until it
 * stops.
 *
 * Payload of model_training: `path` of a CSV with the columns text and label, or `examples`. Payload of inference: `text`.
 */
export default defineAgent({
  kind: 'ai',
  description: 'Learns to classify short texts, and does so',
  capabilities: ['inference', 'model_training'],
  config: Config,
  start: (): { model: Model | undefined } => ({ model: undefined }),
  run: async (task, ctx) => {
    const body = readBody(task, Body, { do: 'inference', text: 'I was charged twice for my order' });
    const work = chooseWork(task, ctx, WORK, body.do);
    switch (work) {
      case 'model_training': {
        const { path, examples } = readBody(task, TrainingBody, { do: work, path: 'examples/data/tickets.csv' });
        const given = examples ?? (await readExamples({ path: path ?? '' }, ctx.signal));
        checkExamples(given);
        await ctx.progress(0.5, `${given.length} examples read`);
        ctx.signal.throwIfAborted();
        // The model that stays learns from all examples; how good it is was measured with a part held out.
        ctx.state.model = train(given);
        return { examples: given.length, ...describe(ctx.state.model), evaluation: evaluate(given) };
      }
      case 'inference': {
        const { text } = readBody(task, InferenceBody, { do: work, text: 'I was charged twice for my order' });
        ctx.state.model ??= train(await defaultExamples(ctx.config.data, ctx.signal));
        const { label, probabilities, knownWords } = predict(ctx.state.model, text);
        return { label, probabilities: probabilities.map((one) => ({ ...one })), known_words: knownWords };
      }
    }
  },
});

function describe({ classes, vocabulary }: Model) {
  return { classes: classes.map(({ label, examples }) => ({ label, examples })), vocabulary: vocabulary.size };
}

async function defaultExamples(path: string | undefined, signal: AbortSignal): Promise<Example[]> {
  if (path === undefined) return readExamples({ csv: await readOwnFile('tickets.csv') }, signal);
  try {
    const examples = await readExamples({ path }, signal);
    checkExamples(examples);
    return examples;
  } catch (cause) {
    signal.throwIfAborted();
    const said = cause instanceof Error ? cause.message : String(cause);
    const message = `there is no model yet, and none can be trained from the manifest's config.data: ${said}; train one first`;
    throw new TroupeError('FAILED_PRECONDITION', 'NOT_TRAINED', message, { cause });
  }
}
