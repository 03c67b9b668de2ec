"""A client in Python: tasks, requests and broadcasts over one stream.

    PYTHONPATH=<stubs> <python> examples/python/client.py run reversing 'one two' 'three' --stream
    PYTHONPATH=<stubs> <python> examples/python/client.py request reverser 'how many?'
    PYTHONPATH=<stubs> <python> examples/python/client.py broadcast reversing.news 'hello'
    PYTHONPATH=<stubs> <python> examples/python/client.py listen 'reversing.>'
"""

import argparse
import json
import sys
import threading

from session import KIND, Session, reason_in, text_of
from troupe.v1 import envelope_pb2, messaging_pb2, payload_pb2, task_pb2

LAST = (KIND.ENVELOPE_KIND_RESULT, KIND.ENVELOPE_KIND_RESPONSE, KIND.ENVELOPE_KIND_ERROR, KIND.ENVELOPE_KIND_ACK)


class Client:
    def __init__(self, options):
        self.options = options
        self.open = set()
        self.failed = False
        hello = messaging_pb2.Hello(topics=options.texts[:1] if options.what == "listen" else [])
        self.session = Session(options.address, hello, self.receive, self.attached)
        self.asked = False

    def attached(self, welcome):
        tell("attached", id=welcome.id, node=welcome.node_id)
        if self.asked or self.options.what == "listen":
            return
        self.asked = True
        first, *texts = self.options.texts
        envelopes = [self.envelope(first, text) for text in texts]
        for number, envelope in enumerate(envelopes, 1):
            envelope.correlation_id = number
            self.open.add(number)
        for envelope in envelopes:
            self.session.send(envelope)

    def envelope(self, first, text):
        payload = payload_pb2.Payload(text=text)
        if self.options.what == "run":
            task = task_pb2.Task(required_capabilities=[first], payload=payload)
            return envelope_pb2.Envelope(kind=KIND.ENVELOPE_KIND_TASK, task=task, streaming=self.options.stream)
        if self.options.what == "request":
            return envelope_pb2.Envelope(kind=KIND.ENVELOPE_KIND_REQUEST, to=first, payload=payload)
        return envelope_pb2.Envelope(kind=KIND.ENVELOPE_KIND_SEND, topic=first, payload=payload)

    def receive(self, envelope):
        number = envelope.correlation_id
        if envelope.kind == KIND.ENVELOPE_KIND_SEND:
            tell("message", sender=getattr(envelope, "from"), topic=envelope.topic, text=text_of(envelope.payload))
        elif envelope.kind == KIND.ENVELOPE_KIND_CHUNK:
            tell("chunk", number=number, text=text_of(envelope.payload))
            more = envelope_pb2.Envelope(kind=KIND.ENVELOPE_KIND_DEMAND, correlation_id=number, demand=1)
            self.session.send(more)
        elif envelope.HasField("error"):
            self.failed = True
            tell("error", number=number, code=envelope.error.code, reason=reason_in(envelope.error), message=envelope.error.message)
        elif envelope.kind == KIND.ENVELOPE_KIND_RESULT:
            tell("result", number=number, agent=envelope.result.agent_id, text=text_of(envelope.result.payload))
        elif envelope.kind == KIND.ENVELOPE_KIND_RESPONSE:
            tell("answer", number=number, agent=getattr(envelope, "from"), text=text_of(envelope.payload))
        elif envelope.kind == KIND.ENVELOPE_KIND_ACK:
            tell("delivered", number=number, to=list(envelope.receipts.delivered))
        if envelope.kind in LAST:
            self.open.discard(number)
            if not self.open:
                # Not here: this is the thread that reads.
                threading.Thread(target=self.session.close).start()


def tell(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["run", "request", "broadcast", "listen"])
    parser.add_argument("texts", nargs="+", help="a capability, agent or topic, and texts for it")
    parser.add_argument("--address", default="127.0.0.1:8080")
    parser.add_argument("--stream", action="store_true")
    client = Client(parser.parse_args())
    client.session.run()
    sys.exit(1 if client.failed else 0)


if __name__ == "__main__":
    main()
