/**
 * The 32-bit hash, unsigned, of a routing key: MurmurHash3_x86_32 (Appleby, `MurmurHash3.cpp`) of its UTF-8 bytes. The same in every process, so that
 * all routers send a key to the same instance: it must never change.
 */
export function hashKey(text: string): number {
  const bytes = Buffer.from(text);
  return murmur3(bytes, bytes.length, 0);
}

/** MurmurHash3_x86_32 of the first `length` bytes. */
export function murmur3(bytes: Uint8Array, length: number, seed: number): number {
  let hash = seed;
  const blocksEnd = length & ~3;
  for (let i = 0; i < blocksEnd; i += 4) {
    hash ^= mixBlock(
      byteAt(bytes, i) | (byteAt(bytes, i + 1) << 8) | (byteAt(bytes, i + 2) << 16) | (byteAt(bytes, i + 3) << 24),
    );
    hash = (Math.imul(rotateLeft(hash, 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = length - 1; i >= blocksEnd; i--) tail = (tail << 8) | byteAt(bytes, i);
  if (blocksEnd < length) hash ^= mixBlock(tail);
  return finalise(hash ^ length);
}

/** MurmurHash3's `fmix32`: each bit of a number changes about half of the bits of the result. Unsigned, and a bijection. */
export function finalise(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function mixBlock(block: number): number {
  return Math.imul(rotateLeft(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}
