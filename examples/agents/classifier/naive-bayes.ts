import { tokenize } from './tokenize.js';

/** A text and the class it belongs to. */
export interface Example {
  readonly text: string;
  readonly label: string;
}

/** Multinomial naive Bayes over words, as counts; never changed once made. */
export interface Model {
  readonly classes: readonly ClassCounts[];
  readonly vocabulary: ReadonlySet<string>;
  readonly examples: number;
}

interface ClassCounts {
  readonly label: string;
  readonly examples: number;
  /** How often each word occurs in the class. */
  readonly words: ReadonlyMap<string, number>;
  /** The sum of `words`. */
  readonly tokens: number;
}

export interface Prediction {
  readonly label: string;
  /** Of every class, in the model's order; together 1. */
  readonly probabilities: readonly { readonly label: string; readonly probability: number }[];
  /** Words of the text that the model knows; the others say nothing. */
  readonly knownWords: number;
}

/**
 * TrainMultinomialNB of Manning, Raghavan and Schütze, "Introduction to Information Retrieval" (2008), figure 13.2. The
 * smoothing is done at prediction, so that the model stays a table of counts.
 */
export function train(examples: readonly Example[]): Model {
  const vocabulary = new Set<string>();
  const found = new Map<string, { label: string; examples: number; words: Map<string, number>; tokens: number }>();
  for (const { text, label } of examples) {
    const counts = found.get(label) ?? { label, examples: 0, words: new Map<string, number>(), tokens: 0 };
    found.set(label, counts);
    counts.examples += 1;
    for (const word of tokenize(text)) {
      vocabulary.add(word);
      counts.words.set(word, (counts.words.get(word) ?? 0) + 1);
      counts.tokens += 1;
    }
  }
  const classes = [...found.values()].sort((one, other) => (one.label < other.label ? -1 : 1));
  return { classes, vocabulary, examples: examples.length };
}

/**
 * ApplyMultinomialNB of the same figure: log P(c) + sum of log P(t|c), with Laplace smoothing (equation 13.7), as
 * probabilities by dividing through their sum. Words that training never saw are left out.
 */
export function predict(model: Model, text: string): Prediction {
  const words = tokenize(text).filter((word) => model.vocabulary.has(word));
  const scores = model.classes.map((counts) => {
    const all = counts.tokens + model.vocabulary.size;
    const prior = Math.log(counts.examples / model.examples);
    return words.reduce((score, word) => score + Math.log(((counts.words.get(word) ?? 0) + 1) / all), prior);
  });
  // Relative to the best score: the products themselves would underflow to 0.
  const best = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
  const total = scores.reduce((sum, score) => sum + Math.exp(score - best), 0);
  const probabilities = model.classes.map(({ label }, index) => ({
    label,
    probability: Math.exp((scores[index] ?? Number.NEGATIVE_INFINITY) - best) / total,
  }));
  const label = model.classes[scores.indexOf(best)]?.label ?? '';
  return { label, probabilities, knownWords: words.length };
}
