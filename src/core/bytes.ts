/** The same bytes as a Buffer, without a copy: what grpc-js writes. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * What something small that is held takes beside its bytes: counted with them wherever what waits is bounded in bytes. Of 37 bytes each in an outbox,
 * 430,000 took 250 bytes each of V8's heap (the buffer, its memory's object, the entry), and as much again outside of it (process.memoryUsage, Node.js 22).
 */
export const HELD_OVERHEAD_BYTES = 512;
