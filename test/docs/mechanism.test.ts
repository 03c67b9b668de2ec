import { describe, expect, it } from '@jest/globals';
import { anchorsOf, linksOf } from './support/markdown.js';
import { isAsShown } from './support/output.js';
import { Reader } from './support/reader.js';
import { scratchClone } from './support/scratch.js';
import { stepsOf } from './support/steps.js';

/** That the tests of documents find what is wrong. */

const document = (...lines: readonly string[]) => lines.join('\n').replaceAll("'''", '```');

const follow = async (...lines: readonly string[]) =>
  new Reader(await scratchClone(), { enter: [] }, {}).follow(stepsOf(document(...lines)), 'x.md');

describe('a reader', () => {
  it('finds that a command fails, and where', async () => {
    await expect(follow("'''sh", 'exit 3', "'''")).rejects.toThrow(/^x\.md:2: ended with 3, not 0/);
  });

  it('finds that a command prints something else, and goes on to find more', async () => {
    const steps = ["'''sh", 'echo one', "'''", '', "'''", 'two', "'''", '', "'''console", '$ echo 3', '4', "'''"];
    await expect(follow(...steps)).rejects.toThrow(/x\.md:2: [\s\S]*two[\s\S]*x\.md:10: /);
  });

  it('finds that a command succeeds that should fail', async () => {
    await expect(follow('<!-- test: fails with: 4 -->', '', "'''sh", 'true', "'''")).rejects.toThrow('ended with 0, not 4');
  });

  it('finds that a file is shown otherwise than it is', async () => {
    await expect(follow('This is `examples/agents/hello.mjs`:', '', "'''js", '1;', "'''")).rejects.toThrow('is not what');
  });

  it('finds that what runs in the background ends badly', async () => {
    const steps = [
      '<!-- test: background until: up -->',
      '',
      "'''sh",
      'trap "exit 1" INT; echo up; while true; do sleep 0.1; done',
      "'''",
    ];
    await expect(follow(...steps)).rejects.toThrow('ended with 1');
  });

  it('saves files and runs them', async () => {
    await follow('Save this as `a.mjs`:', '', "'''js", 'console.log(1)', "'''", '', "'''console", '$ node a.mjs', '1', "'''");
  });
});

describe('a document', () => {
  const refused = [
    ['a block of which nobody knows what it is', ['Text.', '', "'''js", '1', "'''"], /name the file/],
    ['output of nothing', ['Text.', '', "'''", '1', "'''"], /without a language/],
    ['an unknown note', ['<!-- test: skip -->', '', "'''sh", '1', "'''"], /know no note "skip"/],
    ['a block that is not run for no reason', ['<!-- test: not run -->', '', "'''sh", '1', "'''"], /say why/],
    ['a note that belongs to nothing', ['<!-- test: eventually -->', '', 'Text.'], /no block after/],
    ['a block without an end', ["'''sh", '1'], /does not end/],
  ] as const;

  it.each(refused)('with %s is refused', (_, lines, message) => {
    expect(() => stepsOf(document(...lines))).toThrow(message);
  });
});

it('a document may say that nothing of its rest is run', () => {
  const rest = ['<!-- test: from here not run: it needs a cluster -->', '', "'''sh", 'a', "'''", '', "'''yaml", 'b: 1', "'''"];
  expect(stepsOf(document(...rest))).toMatchObject([
    { kind: 'not run', text: 'a', reason: 'it needs a cluster' },
    { kind: 'not run', text: 'b: 1' },
  ]);
});

describe('output', () => {
  const cases = [
    ['node-1 at 127.0.0.1:40001, 3 ms', 'node-2 at 127.0.0.1:55555,  12.5 ms', true],
    ['{"from":"client-k3v9x0q2m1ab"}', '{"from":"client-aaaaaaaaaaaa"}', true],
    ['a…z', 'abcz', true],
    ['…\nlast', 'one\ntwo\nlast', true],
    ['one', 'one\ntwo', false],
    ['gateway 8080', 'gateway 8081', false],
    ['3 tasks', '4 tasks', false],
    ['a.c', 'abc', false],
  ] as const;

  it.each(cases)('shown as %j and printed as %j: %p', (shown, printed, same) => {
    expect(isAsShown(shown, printed)).toBe(same);
  });
});

describe('Markdown', () => {
  it('has the anchors that GitHub makes', () => {
    const headings = '# The `Connect` protocol\n\n## 1. Hello\n\n## What is promised, and why?\n\n## 1. Hello\n';
    expect([...anchorsOf(headings)]).toEqual(['the-connect-protocol', '1-hello', 'what-is-promised-and-why', '1-hello-1']);
  });

  it('has no links in code', () => {
    expect(linksOf(document('[a](b.md) `[c](d.md)`', '', "'''", '[e](f.md)', "'''"))).toEqual([{ line: 1, target: 'b.md' }]);
  });
});
