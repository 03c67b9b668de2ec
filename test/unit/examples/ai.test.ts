import { describe, expect, it } from '@jest/globals';
import ai from '../../../examples/agents/ai.js';
import { evaluate, split } from '../../../examples/agents/classifier/evaluate.js';
import { singular, tokenize } from '../../../examples/agents/classifier/tokenize.js';
import { activate, jsonOf } from '../../support/agent-context.js';

interface Trained {
  readonly examples: number;
  readonly classes: readonly { readonly label: string; readonly examples: number }[];
  readonly vocabulary: number;
  readonly evaluation: { readonly trained_on: number; readonly held_out: number; readonly accuracy: number };
}

interface Inferred {
  readonly label: string;
  readonly probabilities: readonly { readonly label: string; readonly probability: number }[];
  readonly known_words: number;
}

/** Example 13.1 of Introduction to Information Retrieval, and one more text of "other", as a class needs two. */
const CHINA = [
  { text: 'Chinese Beijing Chinese', label: 'china' },
  { text: 'Chinese Chinese Shanghai', label: 'china' },
  { text: 'Chinese Macao', label: 'china' },
  { text: 'Tokyo Japan Chinese', label: 'other' },
  { text: 'Tokyo', label: 'other' },
];

describe('the ai agent', () => {
  it('gives the probabilities that the formula gives by hand', async () => {
    const run = await activate(ai);
    await run({ payload: { examples: CHINA }, require: ['model_training'] });
    const answer = jsonOf<Inferred>(
      (await run({ payload: { text: 'Chinese Chinese Chinese Tokyo Japan Peru' }, require: ['inference'] })).result,
    );
    // Vocabulary 6; 8 words in china, 4 in other. P(t|c) = (count + 1) / (words + 6).
    const china = (3 / 5) * (6 / 14) ** 3 * (1 / 14) * (1 / 14);
    const other = (2 / 5) * (2 / 10) ** 3 * (3 / 10) * (2 / 10);
    expect(answer.probabilities).toEqual([
      { label: 'china', probability: expect.closeTo(china / (china + other), 12) },
      { label: 'other', probability: expect.closeTo(other / (china + other), 12) },
    ]);
    expect(answer).toMatchObject({ label: china > other ? 'china' : 'other', known_words: 5 });
  });

  it('learns the tickets: over 0.8 right on those held out, and nearly as much on every other fifth', async () => {
    const run = await activate(ai);
    const trained = jsonOf<Trained>(
      (await run({ payload: { path: 'examples/data/tickets.csv' }, require: ['model_training'] })).result,
    );
    expect(trained).toMatchObject({ examples: 260, evaluation: { trained_on: 208, held_out: 52 } });
    expect(trained.classes.map(({ label }) => label)).toEqual(['account', 'billing', 'shipping', 'technical']);
    expect(trained.evaluation.accuracy).toBeGreaterThan(0.8);
    expect(trained.evaluation.accuracy).toBeLessThan(1);
  });

  it('trains on the default data when asked before it was trained', async () => {
    const run = await activate(ai);
    const answers = [];
    for (const text of [
      'Please refund the double payment on my card',
      'Where is my parcel? The tracking shows nothing',
      'I forgot my password',
    ])
      answers.push(jsonOf<Inferred>((await run({ payload: { text }, require: ['inference'] })).result).label);
    expect(answers).toEqual(['billing', 'shipping', 'account']);
  });

  it('keeps its model between tasks, and does not share it with other agents', async () => {
    const [one, other] = [await activate(ai), await activate(ai)];
    await one({ payload: { examples: CHINA }, require: ['model_training'] });
    const label = async (run: typeof one) =>
      jsonOf<Inferred>((await run({ payload: { text: 'Tokyo' }, require: ['inference'] })).result).label;
    expect(await label(one)).toBe('other');
    expect(['account', 'billing', 'shipping', 'technical']).toContain(await label(other));
  });

  it('does not underflow on a long text', async () => {
    const run = await activate(ai);
    const { result } = await run({ payload: { text: 'refund '.repeat(10_000) }, require: ['inference'] });
    const { label, probabilities } = jsonOf<Inferred>(result);
    expect(label).toBe('billing');
    expect(probabilities.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
  });

  it('refuses its default data when that is not there', async () => {
    const run = await activate(ai, { config: { data: 'examples/data/none.csv' } });
    const asked = run({ payload: { text: 'hello' }, require: ['inference'] });
    await expect(asked).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'NOT_TRAINED',
      message: expect.stringContaining('none.csv'),
    });
    await expect(activate(ai, { config: { date: 'x' } })).rejects.toThrow('date');
  });

  it.each([
    ['inference of nothing', {}, 'inference', 'INVALID_FIELD', /give the text/],
    ['training on nothing', {}, 'model_training', 'INVALID_FIELD', /exactly one of/],
    ['a single class', { examples: CHINA.slice(0, 3) }, 'model_training', 'TOO_FEW_EXAMPLES', /at least two/],
    ['a class with one example', { examples: CHINA.slice(0, 4) }, 'model_training', 'TOO_FEW_EXAMPLES', /"other"/],
    ['a table without text', { path: 'examples/data/sales.csv' }, 'model_training', 'UNKNOWN_COLUMN', /"text"/],
    ['training in an inference', { examples: CHINA }, 'inference', 'INVALID_FIELD', /text/],
  ])('refuses %s', async (_name, payload, capability, reason, message) => {
    const run = await activate(ai);
    const asked = run({ payload: { ...payload }, require: [capability] });
    await expect(asked).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason, message: expect.stringMatching(message) });
  });
});

describe('evaluation', () => {
  it('holds out the same fifth of each class every time', () => {
    const examples = Array.from({ length: 20 }, (_, index) => ({ text: `${index}`, label: index % 2 === 0 ? 'even' : 'odd' }));
    expect(split(examples).heldOut.map(({ text }) => text)).toEqual(['8', '9', '18', '19']);
    expect(split(examples).training).toHaveLength(16);
  });

  it('names the mistakes', () => {
    const examples = ['red', 'red', 'red', 'red', 'blue'].flatMap((text) => [
      { text, label: 'warm' },
      { text: text === 'red' ? 'blue' : 'ice', label: 'cold' },
    ]);
    expect(evaluate(examples)).toEqual({
      ...{ trained_on: 8, held_out: 2, accuracy: 0.5 },
      mistakes: [{ text: 'blue', label: 'warm', predicted: 'cold' }],
    });
  });
});

describe('words', () => {
  it('are lower case, without stop words, plurals as singulars', () => {
    expect(tokenize("The invoices: they're WRONG, again; 2 companies' fees!")).toEqual([
      'invoice',
      're',
      'wrong',
      'again',
      '2',
      'company',
      'fee',
    ]);
  });

  it.each([
    ['queries', 'query'],
    ['charges', 'charge'],
    ['cards', 'card'],
    ['access', 'access'],
    ['status', 'status'],
    ['gas', 'gas'],
  ])('%s is %s', (word, expected) => {
    expect(singular(word)).toBe(expected);
  });
});
