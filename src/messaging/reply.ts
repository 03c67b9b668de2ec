import type { Reply } from '../agent/messages.js';
import type { Json } from '../core/json.js';
import { EMPTY_PAYLOAD, type Payload, payloadJson, payloadText } from '../core/payload.js';
import type { Content } from '../runtime/delivery.js';

/** An answer, decoded when somebody looks. */
export class ContentReply implements Reply {
  private content: Content | undefined;
  private decoded: Payload | undefined = undefined;

  /** `content` is kept beyond this turn of the event loop. */
  constructor(
    content: Content | undefined,
    readonly from: string,
  ) {
    content?.retain();
    this.content = content;
  }

  get payload(): Payload {
    this.decoded ??= this.content?.decode() ?? EMPTY_PAYLOAD;
    this.content = undefined;
    return this.decoded;
  }

  json<T = Json>(): T {
    return payloadJson(this.payload) as T;
  }

  text(): string {
    return payloadText(this.payload);
  }
}
