import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './processes.js';

/** A message, its bytes, and what they mean. */
export interface Golden {
  readonly name: string;
  /** Full name of the message. */
  readonly type: string;
  /** What is read. */
  readonly hex: string;
  /** What an encoder makes of the meaning, where that is not `hex`. */
  readonly canonical?: string;
  /** What some encoders make of it: protobuf leaves it open where the fields of a oneof go, and whether an empty value of a map is written. */
  readonly also?: string;
  /** The meaning, as protobuf writes JSON. */
  readonly json: unknown;
}

export const GOLDEN_FILES = ['envelopes', 'frames', 'tasks'].map((file) =>
  join(ROOT, 'test', 'conformance', 'golden', `${file}.json`),
);

export const GOLDEN: readonly Golden[] = GOLDEN_FILES.flatMap((path) => JSON.parse(readFileSync(path, 'utf8')) as Golden[]);

/** The canonical bytes for what an encoder may write; what it has written where it may not. */
export function canonicalOf({ hex, canonical, also }: Golden, written: string = canonical ?? hex): string {
  return written === also ? (canonical ?? hex) : written;
}
