import { type Example, predict, train } from './naive-bayes.js';

export type Evaluation = {
  readonly trained_on: number;
  readonly held_out: number;
  /** The part of the held-out examples whose class was predicted right. */
  readonly accuracy: number;
  readonly mistakes: readonly { readonly text: string; readonly label: string; readonly predicted: string }[];
};

const ONE_IN = 5;
const MAX_MISTAKES = 20;

/**
 * Holds out every fifth example of each class (of a class with fewer than five its last), so that the same examples always
 * give the same split, and each class is on both sides. A class needs two examples for that.
 */
export function split(examples: readonly Example[]): { readonly training: Example[]; readonly heldOut: Example[] } {
  const sizes = new Map<string, number>();
  for (const { label } of examples) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  const seen = new Map<string, number>();
  const training: Example[] = [];
  const heldOut: Example[] = [];
  for (const example of examples) {
    const nth = (seen.get(example.label) ?? 0) + 1;
    seen.set(example.label, nth);
    const every = Math.min(ONE_IN, sizes.get(example.label) ?? ONE_IN);
    (nth % every === 0 ? heldOut : training).push(example);
  }
  return { training, heldOut };
}

/** How well a model trained on one part predicts the part held out. */
export function evaluate(examples: readonly Example[]): Evaluation {
  const { training, heldOut } = split(examples);
  const model = train(training);
  const mistakes = heldOut
    .map(({ text, label }) => ({ text, label, predicted: predict(model, text).label }))
    .filter(({ label, predicted }) => label !== predicted);
  return {
    trained_on: training.length,
    held_out: heldOut.length,
    accuracy: 1 - mistakes.length / heldOut.length,
    mistakes: mistakes.slice(0, MAX_MISTAKES),
  };
}
