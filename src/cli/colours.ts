import { styleText } from 'node:util';
import type { CliIo } from './io.js';

export type Colour = 'red' | 'green' | 'yellow' | 'dim' | 'bold';
export type Paint = (colour: Colour, text: string) => string;

export const plain: Paint = (_colour, text) => text;

/** Colours for what goes to a stream: only on a terminal, and not where NO_COLOR (no-color.org) is set. */
export function paintFor(io: CliIo, stream: 'stdout' | 'stderr'): Paint {
  const isTerminal = stream === 'stdout' ? io.isTTY : (io.errorIsTTY ?? io.isTTY);
  if (!isTerminal || (io.env.NO_COLOR ?? '') !== '') return plain;
  // Our own check has been made; Node's would look at the streams of this process.
  return (colour, text) => styleText(colour, text, { validateStream: false });
}
