/** A metric that an expression reads, with the labels that it picks lines by. */
export interface Selection {
  readonly metric: string;
  readonly labels: readonly string[];
}

export interface Reads {
  readonly selections: readonly Selection[];
  /** Labels of `by (…)`, `on (…)` and the like. */
  readonly groupings: readonly string[];
  /** Labels that `label_replace(…)` gives. */
  readonly given: readonly string[];
}

const GROUPING = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan']);
const TOKEN = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\[[^\]]*\]|[A-Za-z_:][A-Za-z0-9_:]*|\d[\w.]*|[{}(),]|[^\s\w]/g;

/** What a PromQL expression reads; also one with Grafana's variables in strings and ranges. Not a parser: whether it is right is up to promtool. */
export function readsOf(expression: string): Reads {
  const tokens: readonly string[] = expression.match(TOKEN) ?? [];
  const selections: Selection[] = [];
  const groupings: string[] = [];
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index] ?? '';
    if (!/^[A-Za-z_:]/.test(token) || WORDS.has(token)) continue;
    if (GROUPING.has(token)) {
      const end = tokens.indexOf(')', index);
      groupings.push(...tokens.slice(index + 2, end).filter((each) => each !== ','));
      index = end;
    } else if (tokens[index + 1] === '{') {
      const end = tokens.indexOf('}', index);
      const labels = tokens
        .slice(index + 2, end)
        .filter((each, at, all) => /^[A-Za-z_]/.test(each) && /^[=!]/.test(all[at + 1] ?? ''));
      selections.push({ metric: token, labels });
      index = end;
    } else if (tokens[index + 1] !== '(' && !GROUPING.has(tokens[index + 1] ?? '')) {
      selections.push({ metric: token, labels: [] });
    }
  }
  const given = [...expression.matchAll(/,\s*"(\w+)"(?:,\s*"[^"]*"){3}\)/g)].map(([, label]) => label as string);
  return { selections, groupings, given };
}
