"""A program's side of Messaging.Connect: numbered batches, credit, and streams that are made again with the resume token.

Made from the .proto files alone: `node scripts/install-python.mjs` puts grpcio and the stubs of proto/ into .tools/.
"""

import collections
import queue
import random
import threading
import time

import grpc
from google.rpc import error_details_pb2, status_pb2
from troupe.v1 import envelope_pb2, messaging_pb2, messaging_pb2_grpc

WINDOW = 1_000  # envelopes that may come before there is credit
ACKNOWLEDGE_BYTES = 1024 * 1024  # what was received is acknowledged at the latest after so many

KIND = envelope_pb2
GIVEN = (KIND.ENVELOPE_KIND_TASK, KIND.ENVELOPE_KIND_REQUEST, KIND.ENVELOPE_KIND_SEND)
ANSWERS = (KIND.ENVELOPE_KIND_RESULT, KIND.ENVELOPE_KIND_RESPONSE, KIND.ENVELOPE_KIND_ERROR, KIND.ENVELOPE_KIND_ACK)


class Ended(Exception):
    """The session is over, and does not come back by itself."""


class Session:
    """One session over all of its streams. `on_envelope` is called for each envelope that comes, once, in order."""

    def __init__(self, address, hello, on_envelope, on_attached=lambda welcome: None):
        self.generation = 1  # which session this is: a new one begins where the one before is lost with its node
        self.given = set()  # what the program is to answer
        self.draining = False  # the node will end
        self.told = False  # the node knows that nothing new is to come
        self.address = address
        self.hello = hello
        self.on_envelope = on_envelope
        self.on_attached = on_attached
        self.lock = threading.Lock()
        self.token = ""
        self.received = 0  # number of the last batch that came
        self.sequence = 0  # number of the last batch that was formed
        self.kept = collections.deque()  # batches that the node has not acknowledged
        self.waiting = collections.deque()  # envelopes that wait for credit
        self.credit = 0
        self.out = None  # frames for the present stream
        self.closing = False

    def send(self, envelope, generation=None):
        """`generation`: of the session that what is answered came over. Where that is gone, nobody waits for the answer."""
        with self.lock:
            if generation not in (None, self.generation):
                return
            if envelope.kind in ANSWERS:
                self.given.discard(envelope.correlation_id)
            self.waiting.append(envelope)
            self._flush()
            self._end_when_done()

    def close(self):
        """Says that nothing new is to come, and ends this side when all that came is answered."""
        with self.lock:
            self.closing = True
            self._leave()

    def run(self):
        """Stays attached until `close`. Raises Ended for what does not pass."""
        failures = 0
        while not self.closing:
            try:
                with grpc.insecure_channel(self.address) as channel:
                    self._stream(channel)
                    failures = 0
                    if self.draining:
                        self._forget()
            except grpc.RpcError as error:
                if self.closing:
                    return
                reason = reason_of(error)
                if reason in LOST or self.draining:
                    self._forget()
                if reason not in PASSING and error.code() not in PASSING_CODES:
                    raise Ended(f"{error.code().name} {reason}: {error.details()}") from error
                failures += 1
                time.sleep(random.uniform(0, min(2.0, 0.1 * 2**failures)))

    def _stream(self, channel):
        out = queue.Queue()
        hello = messaging_pb2.Hello(credit=WINDOW)
        if self.token:
            hello.resume_token, hello.received = self.token, self.received
        else:
            hello.MergeFrom(self.hello)
        out.put(messaging_pb2.ConnectRequest(hello=hello))
        used, used_bytes = 0, 0
        try:
            for response in messaging_pb2_grpc.MessagingStub(channel).Connect(iter(out.get, None)):
                frame = response.WhichOneof("frame")
                if frame == "welcome":
                    self._welcome(response.welcome, out)
                elif frame == "batch":
                    used += len(response.batch.envelopes)
                    used_bytes += response.ByteSize()
                    if response.batch.sequence > self.received:
                        self.received = response.batch.sequence
                        for envelope in response.batch.envelopes:
                            self._note(envelope)
                            self.on_envelope(envelope)
                    if used >= WINDOW // 2 or used_bytes >= ACKNOWLEDGE_BYTES:
                        out.put(messaging_pb2.ConnectRequest(credit=messaging_pb2.Credit(envelopes=used, received=self.received)))
                        used, used_bytes = 0, 0
                elif frame == "credit":
                    with self.lock:
                        self._acknowledge(response.credit.received)
                        self.credit += response.credit.envelopes
                        self._flush()
                elif frame == "ping":
                    out.put(messaging_pb2.ConnectRequest(pong=messaging_pb2.Pong(id=response.ping.id)))
                elif frame == "drain":
                    with self.lock:
                        self.draining = True
                        self._leave()
                elif frame == "pong":
                    # What the node had sent before it knew that nothing new is to come is here.
                    with self.lock:
                        self.told = True
                        self._end_when_done()
        finally:
            with self.lock:
                self.out, self.told = None, False
            out.put(None)

    def _welcome(self, welcome, out):
        with self.lock:
            self.token = welcome.resume_token
            self._acknowledge(welcome.received)
            self.out, self.credit = out, welcome.credit
            for batch in self.kept:
                self.credit -= len(batch.envelopes)
                out.put(messaging_pb2.ConnectRequest(batch=batch))
            self._flush()
        self.on_attached(welcome)

    def _flush(self):
        while self.out is not None and self.waiting and self.credit > 0:
            self.sequence += 1
            batch = messaging_pb2.Batch(sequence=self.sequence)
            while self.waiting and len(batch.envelopes) < self.credit and batch.ByteSize() < 64 * 1024:
                batch.envelopes.append(self.waiting.popleft())
            self.credit -= len(batch.envelopes)
            self.kept.append(batch)
            self.out.put(messaging_pb2.ConnectRequest(batch=batch))

    def _note(self, envelope):
        with self.lock:
            if envelope.kind in GIVEN and envelope.correlation_id:
                self.given.add(envelope.correlation_id)
            elif envelope.kind == KIND.ENVELOPE_KIND_CANCEL:
                self.given.discard(envelope.correlation_id)
                self._end_when_done()

    def _leave(self):
        if self.out is not None:
            self.out.put(messaging_pb2.ConnectRequest(drain=messaging_pb2.Drain()))
            self.out.put(messaging_pb2.ConnectRequest(ping=messaging_pb2.Ping(id=1)))

    def _end_when_done(self):
        if self.told and self.out is not None and not self.given and not self.waiting:
            self.out.put(None)

    def _acknowledge(self, sequence):
        while self.kept and self.kept[0].sequence <= sequence:
            self.kept.popleft()

    def _forget(self):
        """What comes next is a new session: nobody waits for the answers of the old one."""
        with self.lock:
            self.token, self.received, self.sequence = "", 0, 0
            self.generation += 1
            self.draining = self.told = False
            self.given.clear()
            self.kept.clear()
            self.waiting.clear()


# What passes: the connection was lost, the node ends, the agent's old place is not free yet.
PASSING_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
LOST = ("UNKNOWN_SESSION", "NODE_ENDED")
PASSING = (*LOST, "NODE_DRAINING", "AGENT_EXISTS", "TOO_MANY_SESSIONS")


def reason_of(error):
    """The reason of an error of Troupe: google.rpc.ErrorInfo in its details."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return reason_in(status_pb2.Status.FromString(value))
    return ""


def reason_in(status):
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return ""


def text_of(payload):
    kind = payload.WhichOneof("content")
    if kind == "text":
        return payload.text
    return payload.data.decode() if kind == "data" else ""
