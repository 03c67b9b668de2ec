import type { Reply } from '../agent/messages.js';
import type { Json } from '../core/json.js';
import { EMPTY_PAYLOAD, type Payload, payloadJson, payloadText } from '../core/payload.js';
import type { Content } from '../runtime/delivery.js';

/** Decoding so much costs about what copying it would. */
const SMALL_BYTES = 1024;

function decodedNow(content: Content): Payload | undefined {
  try {
    return content.decode();
  } catch {
    // Whoever looks at it is told.
    content.retain();
    return undefined;
  }
}

/** An answer, decoded when somebody looks. */
export class ContentReply implements Reply {
  private content: Content | undefined;
  private decoded: Payload | undefined = undefined;

  /** `content` is kept beyond this turn of the event loop. */
  constructor(
    content: Content | undefined,
    readonly from: string,
  ) {
    if (content !== undefined && content.length <= SMALL_BYTES) this.decoded = decodedNow(content);
    else content?.retain();
    this.content = this.decoded === undefined ? content : undefined;
  }

  get payload(): Payload {
    this.decoded ??= this.content?.decode() ?? EMPTY_PAYLOAD;
    return this.decoded;
  }

  json<T = Json>(): T {
    return payloadJson(this.payload) as T;
  }

  text(): string {
    return payloadText(this.payload);
  }
}
