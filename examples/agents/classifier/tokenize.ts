/** Words that say nothing of a text's class. */
const STOP_WORDS = new Set(
  [
    'a an and are as at be been but by can could did do does for from had has have how i if in is it its me my no not of on or',
    'our please should so than that the their them then there they this to was we were what when where which who why will',
    'with would you your',
  ].flatMap((words) => words.split(' ')),
);

/** The words of a text in lower case, without stop words, plurals as singulars. */
export function tokenize(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.filter((word) => !STOP_WORDS.has(word)).map(singular);
}

/** The "S" stemmer of Harman, "How effective is suffixing?" (1991): the first rule whose ending fits decides. */
export function singular(word: string): string {
  if (word.length <= 3) return word;
  if (/[^ea]ies$/.test(word)) return `${word.slice(0, -3)}y`;
  if (/[^aeo]es$/.test(word)) return word.slice(0, -1);
  return /[^us]s$/.test(word) ? word.slice(0, -1) : word;
}
