import { RoutedRunStreamRequest, RoutedRunStreamResponse } from '../gen/troupe/internal/v1/routed.js';
import { encodeMessage } from '../rpc/encode.js';
import type { RawCallOptions, RawClient } from '../rpc/raw-client.js';
import { readEvent, type TaskEvent } from './result.js';

/** The events of one stream of a task. Ends with the result, or when `signal` aborts. */
export async function* taskEvents(
  raw: RawClient,
  request: RoutedRunStreamRequest,
  options: RawCallOptions & { readonly signal: AbortSignal },
): AsyncGenerator<TaskEvent, void, undefined> {
  const bytes = encodeMessage(RoutedRunStreamRequest, request);
  // Told when the call has ended: a loop that is left after it would cancel the call, which costs the connection one of the resets it has.
  let result: TaskEvent | undefined;
  try {
    for await (const response of raw.serverStream('/troupe.v1.Tasks/RunStream', bytes, options)) {
      const event = readEvent(RoutedRunStreamResponse.decode(response).event);
      if (event?.kind === 'result') result = event;
      else if (event !== undefined) yield event;
    }
  } catch (error) {
    if (result === undefined) throw error;
  }
  if (result !== undefined) yield result;
}
