import type { Payload } from '../core/payload.js';
import { decodePayload } from '../rpc/codec/payload.js';
import type { Content } from '../runtime/delivery.js';

/** The content of a message that came encoded, in memory of its own. */
export class EncodedContent implements Content {
  constructor(private readonly encoded: Uint8Array) {}

  get length(): number {
    return this.encoded.length;
  }

  decode(): Payload {
    return decodePayload(this.encoded);
  }

  bytes(): Uint8Array {
    return this.encoded;
  }

  retain(): void {}
}
