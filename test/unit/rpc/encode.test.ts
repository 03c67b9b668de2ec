import { describe, expect, it } from '@jest/globals';
import { RoutedTask } from '../../../src/gen/troupe/internal/v1/routed.js';
import { encodeMessage, encodeWith } from '../../../src/rpc/encode.js';

const task = (id: string) => RoutedTask.fromPartial({ id, requiredCapabilities: ['echo'], payload: Buffer.alloc(300, 7) });
const generated = (id: string) => Buffer.from(RoutedTask.encode(task(id)).finish());

describe('encodeMessage', () => {
  it('gives what the generated code gives, one message after another', () => {
    for (const id of ['a', 'b'.repeat(5_000), 'c']) expect(encodeMessage(RoutedTask, task(id))).toEqual(generated(id));
  });

  it('gives bytes that the next message leaves alone', () => {
    const first = encodeMessage(RoutedTask, task('first'));
    encodeMessage(RoutedTask, task('other'));
    expect(first).toEqual(generated('first'));
  });

  it('writes a message while another is being written', () => {
    let inner: Buffer | undefined;
    const outer = encodeWith((writer) => {
      writer.uint32(1);
      inner = encodeMessage(RoutedTask, task('inner'));
      writer.uint32(2);
    });
    expect(outer).toEqual(Buffer.from([1, 2]));
    expect(inner).toEqual(generated('inner'));
  });

  it('keeps nothing of a message that could not be written to its end', () => {
    const broken = () =>
      encodeWith((writer) => {
        writer.uint32(1).fork();
        throw new RangeError('broken');
      });
    expect(broken).toThrow('broken');
    expect(encodeMessage(RoutedTask, task('next'))).toEqual(generated('next'));
  });
});
