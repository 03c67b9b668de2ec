"""An agent of one stream: says tasks in capitals, until it is interrupted."""

import queue
import sys

import grpc
from troupe.v1 import envelope_pb2, messaging_pb2, messaging_pb2_grpc, payload_pb2, task_pb2

address, agent_id = sys.argv[1:]
out = queue.Queue()
out.put(messaging_pb2.ConnectRequest(hello=messaging_pb2.Hello(agent_id=agent_id, capabilities=["shouting"], credit=100)))
with grpc.insecure_channel(address) as channel:
    for response in messaging_pb2_grpc.MessagingStub(channel).Connect(iter(out.get, None)):
        frame = response.WhichOneof("frame")
        if frame == "welcome":
            print("attached to", response.welcome.node_id, flush=True)
        elif frame == "ping":
            out.put(messaging_pb2.ConnectRequest(pong=messaging_pb2.Pong(id=response.ping.id)))
        elif frame == "batch":
            answers = messaging_pb2.Batch()
            for envelope in response.batch.envelopes:
                if envelope.kind == envelope_pb2.ENVELOPE_KIND_TASK:
                    result = task_pb2.TaskResult(payload=payload_pb2.Payload(text=envelope.task.payload.text.upper()))
                    answers.envelopes.add(
                        kind=envelope_pb2.ENVELOPE_KIND_RESULT, correlation_id=envelope.correlation_id, result=result
                    )
            if answers.envelopes:
                out.put(messaging_pb2.ConnectRequest(batch=answers))
            credit = messaging_pb2.Credit(envelopes=len(response.batch.envelopes), received=response.batch.sequence)
            out.put(messaging_pb2.ConnectRequest(credit=credit))
        elif frame == "drain":
            out.put(None)
