import { describe, expect, test } from '@jest/globals';
import { jsonLine, printable, printableLines } from '../../../src/cli/printable.js';

const ESC = '\u001b';

describe('printable', () => {
  test.each([
    ['a title that is set', `a${ESC}]0;owned\u0007b`, 'a\\u001b]0;owned\\u0007b'],
    ['a C1 control, which begins a command as well', 'a\u009b31mb', 'a\\u009b31mb'],
    ['DEL and backspace', 'a\u0008\u007fb', 'a\\u0008\\u007fb'],
    ['text that is turned round', 'file\u202etxt.exe\u2066x\u2069', 'file\\u202etxt.exe\\u2066x\\u2069'],
    ['lines, which become one', 'a\r\nb\tc\n', 'a b c '],
    ['letters, signs and emojis of several parts, which stay', 'grüße שלום 日本 👩‍🚀', 'grüße שלום 日本 👩‍🚀'],
  ])('shows %s', (_, text, shown) => {
    expect(printable(text)).toBe(shown);
  });
});

test('printableLines leaves lines and tabs, and shows a return alone', () => {
  expect(printableLines(`a\tb\r\nc\nok\rno${ESC}[2J`)).toBe('a\tb\r\nc\nok\\u000dno\\u001b[2J');
});

test('jsonLine means the same, with nothing in it that acts on a terminal', () => {
  const value = { [`k${ESC}`]: '\u0000\u001b[31m\u007f\u009b\u202e\n', n: [1, 'ü'] };
  const line = jsonLine(value);
  expect(JSON.parse(line)).toEqual(value);
  expect(line).toMatch(/^[ -~ü]+\n$/);
  expect(jsonLine({ a: 1 }, 2)).toBe('{\n  "a": 1\n}\n');
});
