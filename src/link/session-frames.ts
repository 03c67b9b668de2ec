import { type BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { TroupeError } from '../core/errors.js';
import { RoutedConnectRequest, RoutedConnectResponse, RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import { decodeMessage } from '../rpc/decode.js';
import { encodeMessage, encodeWith } from '../rpc/encode.js';

export type ProgramFrame = NonNullable<RoutedConnectRequest['frame']>;
export type NodeFrame = NonNullable<RoutedConnectResponse['frame']>;

/** @throws INVALID_ARGUMENT / MALFORMED_MESSAGE, EMPTY_FRAME. */
export function readFrame(bytes: Buffer): ProgramFrame {
  const { frame } = decodeMessage(RoutedConnectRequest, bytes);
  if (frame === undefined)
    throw new TroupeError(
      'INVALID_ARGUMENT',
      'EMPTY_FRAME',
      'frame: is required: hello, batch, credit, ping, pong, drain or subscriptions',
    );
  return frame;
}

export function frameBytes(frame: NodeFrame): Buffer {
  return encodeMessage(RoutedConnectResponse, { frame });
}

/** What a node says, as a program reads it. Undefined for a frame of a newer contract. @throws INVALID_ARGUMENT / MALFORMED_MESSAGE. */
export function readNodeFrame(bytes: Buffer): NodeFrame | undefined {
  return decodeMessage(RoutedConnectResponse, bytes).frame;
}

export function programFrameBytes(frame: ProgramFrame): Buffer {
  return encodeMessage(RoutedConnectRequest, { frame });
}

/** An envelope with the tag that it has in a batch. */
export function envelopeBytes(fields: Partial<RoutedEnvelope>): Buffer {
  return encodeWith((writer) => {
    writer.tag(ENVELOPES, WireType.LengthDelimited).fork();
    RoutedEnvelope.encode({ ...BLANK, ...fields }, writer);
    writer.join();
  });
}

/** A frame that holds a batch of what `envelopeBytes` gave. */
export function batchBytes(envelopes: readonly Buffer[], sequence: number): Buffer {
  return encodeWith((writer: BinaryWriter) => {
    writer.tag(BATCH, WireType.LengthDelimited).fork();
    for (const envelope of envelopes) writer.raw(envelope);
    if (sequence > 0) writer.tag(SEQUENCE, WireType.Varint).uint64(sequence);
    writer.join();
  });
}

/** Field numbers: of ConnectRequest and ConnectResponse, and of Batch. */
const BATCH = 2;
const ENVELOPES = 1;
const SEQUENCE = 2;

const BLANK: RoutedEnvelope = {
  kind: EnvelopeKind.ENVELOPE_KIND_UNSPECIFIED,
  correlationId: 0n,
  from: '',
  to: '',
  topic: '',
  payload: Buffer.alloc(0),
  deadline: undefined,
  id: '',
  sequence: 0n,
  hops: 0,
  headers: new Map(),
  error: undefined,
  task: undefined,
  attempt: 0,
  result: undefined,
  receipts: undefined,
  streaming: false,
  demand: 0,
  waitForRoom: false,
  atLeastOnce: false,
  fromNode: '',
  visitedNodes: [],
  progress: undefined,
};
