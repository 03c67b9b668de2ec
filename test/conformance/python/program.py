"""A program on Messaging.Connect that says what a case wants it to say, and keeps what it hears."""

import queue
import threading

import grpc
from harness import Failed, fault_of, same
from troupe.v1 import envelope_pb2, messaging_pb2

KINDS = {name: envelope_pb2.EnvelopeKind.Value(f"ENVELOPE_KIND_{name}") for name in
         ("SEND", "REQUEST", "RESPONSE", "ERROR", "ACK", "TASK", "RESULT", "CHUNK", "PROGRESS", "CANCEL", "DEMAND")}


def envelope(kind, **fields):
    return envelope_pb2.Envelope(kind=KINDS[kind], **fields)


class Program:
    def __init__(self, at):
        self.out = queue.Queue()
        self.frames = []
        self.ended = None
        self.changed = threading.Condition()
        self.call = at.messaging.Connect(iter(self.out.get, None), timeout=30)
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.breaks()

    def send(self, **frame):
        self.out.put(messaging_pb2.ConnectRequest(**frame))

    def hello(self, **fields):
        self.send(hello=messaging_pb2.Hello(**fields))
        return self.frame("welcome")

    def batch(self, *envelopes, sequence=0):
        self.send(batch=messaging_pb2.Batch(envelopes=envelopes, sequence=sequence))

    def frame(self, kind, matches=lambda frame: True):
        """The first frame of a kind, past or to come."""
        return self._wait(lambda: next((f for k, f in self.frames if k == kind and matches(f)), None), f"no {kind}")

    def envelope(self, kind, matches=lambda envelope: True):
        return self._wait(lambda: next((e for e in self.envelopes() if e.kind == KINDS[kind] and matches(e)), None), f"no {kind}")

    def envelopes(self, kind=None):
        found = [e for k, f in list(self.frames) if k == "batch" for e in f.envelopes]
        return [e for e in found if kind is None or e.kind == KINDS[kind]]

    def until(self, condition, what):
        self._wait(lambda: condition() or None, what)

    @property
    def received(self):
        """The number of the last batch that came."""
        return max((f.sequence for k, f in self.frames if k == "batch"), default=0)

    def pong(self, number=1):
        """All that was sent to it before is here when this returns."""
        self.send(ping=messaging_pb2.Ping(id=number))
        return self.frame("pong", lambda pong: pong.id == number)

    def half_close(self):
        self.out.put(None)

    def breaks(self):
        self.call.cancel()
        self.out.put(None)

    def ends(self, code, reason=""):
        fault = self._wait(lambda: self.ended, "the stream does not end", may_end=True)
        got = (fault.code, fault.reason) if fault != "OK" else ("OK", "")
        same(got, (code, reason), f"the end of the stream, {fault}")
        return fault

    def _wait(self, look, what, may_end=False):
        with self.changed:
            found = self.changed.wait_for(lambda: look() or (self.ended and not may_end), 10) and look()
        if not found:
            raise Failed(f"{what}; ended: {self.ended}; came: {[k for k, _ in self.frames]} {[e.kind for e in self.envelopes()]}")
        return found

    def _read(self):
        try:
            for response in self.call:
                kind = response.WhichOneof("frame")
                with self.changed:
                    self.frames.append((kind, getattr(response, kind)))
                    self.changed.notify_all()
            self._end("OK")
        except grpc.RpcError as error:
            self._end(fault_of(error))

    def _end(self, how):
        with self.changed:
            self.ended = how
            self.changed.notify_all()
