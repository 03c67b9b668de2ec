"""An agent in Python: reverses texts, word by word, answers messages, and heeds when nobody waits any more.

    node scripts/install-python.mjs
    PYTHONPATH=<stubs> <python> examples/python/agent.py --address 127.0.0.1:8080
    npx troupe run reversing --text 'one two three' --stream
    npx troupe request reverser --text 'how many?'
"""

import argparse
import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from google.rpc import status_pb2
from session import KIND, Session, text_of
from troupe.v1 import envelope_pb2, messaging_pb2, payload_pb2, task_pb2


class Work:
    """One task under way."""

    def __init__(self, demand, generation):
        self.generation = generation
        self.cancelled = threading.Event()
        self.parts = threading.Semaphore(demand)


class Reverser:
    def __init__(self, options):
        self.pool = ThreadPoolExecutor(options.concurrency)
        self.work = {}
        self.done = 0
        hello = messaging_pb2.Hello(
            agent_id=options.id, capabilities=["reversing"], topics=["reversing.news"], concurrency=options.concurrency
        )
        self.session = Session(options.address, hello, self.receive, attached)

    def receive(self, envelope):
        """Called in order, for each envelope; must not wait."""
        if envelope.kind == KIND.ENVELOPE_KIND_TASK:
            work = Work(envelope.demand, self.session.generation)
            self.work[envelope.correlation_id] = work
            self.pool.submit(self.run, envelope, work)
        elif envelope.kind == KIND.ENVELOPE_KIND_CANCEL:
            work = self.work.pop(envelope.correlation_id, None)
            if work is not None:
                work.cancelled.set()
                work.parts.release()
        elif envelope.kind == KIND.ENVELOPE_KIND_DEMAND:
            work = self.work.get(envelope.correlation_id)
            if work is not None:
                work.parts.release(envelope.demand)
        elif envelope.kind == KIND.ENVELOPE_KIND_REQUEST:
            answer = payload_pb2.Payload(text=f"{self.done} tasks done; you said: {text_of(envelope.payload)}")
            self.say(KIND.ENVELOPE_KIND_RESPONSE, envelope, payload=answer)
        elif envelope.kind == KIND.ENVELOPE_KIND_SEND:
            # `from` is a word of Python.
            sender = getattr(envelope, "from")
            tell("message", sender=sender, topic=envelope.topic, text=text_of(envelope.payload))
            self.say(KIND.ENVELOPE_KIND_ACK, envelope)

    def run(self, envelope, work):
        try:
            # How long each word takes: a label, so that tests and the curious can see it being called off.
            pause = int(envelope.task.labels.get("pause_ms", "0")) / 1_000
            words = [word[::-1] for word in text_of(envelope.task.payload).split()]
            if not words:
                raise ValueError("there is nothing to reverse")
            for index, word in enumerate(words):
                if work.cancelled.wait(pause):
                    tell("cancelled", task=envelope.task.id)
                    return
                if envelope.streaming:
                    work.parts.acquire()
                    part = payload_pb2.Payload(text=word)
                    self.say(KIND.ENVELOPE_KIND_CHUNK, envelope, work, sequence=index + 1, payload=part)
            result = task_pb2.TaskResult(payload=payload_pb2.Payload(text=" ".join(words)))
            self.done += 1
            self.say(KIND.ENVELOPE_KIND_RESULT, envelope, work, result=result)
        except ValueError as error:
            invalid = status_pb2.Status(code=3, message=str(error))
            self.say(KIND.ENVELOPE_KIND_ERROR, envelope, work, error=invalid)
        finally:
            self.work.pop(envelope.correlation_id, None)

    def say(self, kind, about, work=None, **fields):
        envelope = envelope_pb2.Envelope(kind=kind, correlation_id=about.correlation_id, **fields)
        self.session.send(envelope, None if work is None else work.generation)


def attached(welcome):
    tell("attached", id=welcome.id, node=welcome.node_id)


def tell(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1:8080")
    parser.add_argument("--id", default="reverser")
    parser.add_argument("--concurrency", type=int, default=4)
    agent = Reverser(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: agent.session.close())
    agent.session.run()
    agent.pool.shutdown()


if __name__ == "__main__":
    main()
