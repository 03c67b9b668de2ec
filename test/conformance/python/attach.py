"""Programs on Messaging.Connect: agents and clients, frame by frame."""

from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from harness import case, check, eventually, fails, plain, same, task_of, text_payload
from messages import ask, broadcast
from program import Program, envelope
from troupe.v1 import messaging_pb2, registry_pb2, task_pb2, tasks_pb2


def sender(message):
    # `from` is a word of Python.
    return getattr(message, "from")


def attach(cluster, **hello):
    """An agent with a capability of its own, which everybody can reach."""
    name = cluster.fresh("agent")
    program = Program(cluster.gateway)
    program.hello(agent_id=name, capabilities=[f"can.{name}"], **{"concurrency": 100, **hello})
    wait_for(cluster, name)
    return program, name


def wait_for(cluster, name):
    """Until the processes that the cases ask know it."""
    for at in (cluster.gateway, cluster.node):
        request = messaging_pb2.SendRequest(to=name, payload=text_payload("are you there?"), headers={"probe": "yes"})
        eventually(lambda at=at, request=request: at.messaging.Send(request, timeout=5))


def is_probe(message):
    return message.headers["probe"] == "yes"


def acknowledge(program, message):
    program.batch(envelope("ACK", correlation_id=message.correlation_id))


@case("attach.hello")
def hello(cluster):
    name = cluster.fresh("agent")
    with Program(cluster.gateway) as program:
        welcome = program.hello(agent_id=name, capabilities=[f"can.{name}"], weight=7, metadata={"language": "python"})
        same((welcome.id, welcome.grace.seconds), (name, 10), "id and grace of the welcome")
        check(welcome.resume_token and welcome.credit > 0 and welcome.node_id.startswith("node-"), f"the welcome {welcome}")
        key = registry_pb2.InstanceKey(service="agent", id=name)
        listed = cluster.gateway.registry.GetInstance(registry_pb2.GetInstanceRequest(key=key), timeout=10).instance
        same((listed.node_id, list(listed.capabilities), listed.weight), (welcome.node_id, [f"can.{name}"], 7), "the instance")
        same(listed.metadata["language"], "python", "the metadata")
        with Program(cluster.gateway) as other:
            other.send(hello=messaging_pb2.Hello(agent_id=name))
            other.ends("ALREADY_EXISTS", "AGENT_EXISTS")
        with Program(cluster.gateway) as replica:
            answered = replica.hello(agent_id=name[:40], replica=True)
            check(answered.id.startswith(f"{name[:40]}-"), f"the id of a replica: {answered.id}")
        with Program(cluster.node) as anonymous:
            check(anonymous.hello().id, "a client without an id")


@case("attach.task")
def task(cluster):
    program, name = attach(cluster)
    with program:
        request = tasks_pb2.RunStreamRequest(task=task_of(f"can.{name}", {"n": 1}, id=cluster.fresh("task"), labels={"k": "v"}))
        call = cluster.gateway.tasks.RunStream(request, timeout=20)
        came = program.envelope("TASK")
        check(came.correlation_id > 0 and came.attempt == 1 and came.streaming, f"the task {came}")
        same((came.task.id, dict(came.task.labels), plain(came.task.payload.json)), (request.task.id, {"k": "v"}, {"n": 1}), "the task")
        check(came.HasField("deadline") or came.task.HasField("deadline"), "no deadline")
        about = {"correlation_id": came.correlation_id}
        program.batch(envelope("PROGRESS", progress=task_pb2.TaskProgress(fraction=0.25, note="begun"), **about))
        for n in (1, 2):
            program.batch(envelope("CHUNK", sequence=n, payload=text_payload(f"part {n}"), **about))
        program.batch(envelope("RESULT", result=task_pb2.TaskResult(payload=text_payload("done")), **about))
        events = [response.event for response in call]
        same([e.WhichOneof("event") for e in events], ["accepted", "routed", "progress", "chunk", "chunk", "result"], "the events")
        same([e.chunk.payload.text for e in events[3:5]], ["part 1", "part 2"], "the chunks")
        same((events[2].progress.fraction, events[2].progress.note), (0.25, "begun"), "the progress")
        result = events[5].result
        same((result.agent_id, result.payload.text, result.state), (name, "done", task_pb2.TASK_STATE_COMPLETED), "the result")


@case("attach.request")
def request(cluster):
    program, name = attach(cluster)
    with program:
        asked = messaging_pb2.RequestRequest(to=name, payload=text_payload("how many?"), headers={"colour": "blue"})
        call = cluster.node.messaging.Request.future(asked, timeout=10)
        came = program.envelope("REQUEST")
        same((came.payload.text, came.headers["colour"], came.streaming), ("how many?", "blue", False), "the request")
        check(sender(came) and came.correlation_id > 0, f"the request {came}")
        program.batch(envelope("RESPONSE", correlation_id=came.correlation_id, payload=text_payload("three")))
        answer = call.result()
        same((answer.payload.text, sender(answer)), ("three", name), "the answer")

        call = cluster.node.messaging.Request.future(asked, timeout=10)
        came = program.envelope("REQUEST", lambda e: e.correlation_id != came.correlation_id)
        info = any_pb2.Any()
        info.Pack(error_details_pb2.ErrorInfo(reason="NO_MODEL", domain="troupe.dev", metadata={"model": "m-1"}))
        status = status_pb2.Status(code=9, message="train it first", details=[info])
        program.batch(envelope("ERROR", correlation_id=came.correlation_id, error=status))
        fault = fails(call.result, "FAILED_PRECONDITION", "NO_MODEL")
        same((fault.message, fault.metadata.get("model")), ("train it first", "m-1"), "the agent's error")


@case("attach.message")
def message(cluster):
    topic = cluster.fresh("topic")
    program, name = attach(cluster, topics=[f"{topic}.*"])
    with program:
        cluster.node.messaging.Send(messaging_pb2.SendRequest(to=name, payload=text_payload("a note"), id="n-1"), timeout=10)
        note = program.envelope("SEND", lambda e: e.id == "n-1")
        same((note.payload.text, note.to, note.topic), ("a note", name, ""), "the message")
        acknowledge(program, note)
        eventually(lambda: same(dict(broadcast(cluster.node, f"{topic}.news", "news").delivered), {name: True}, "the receipts"))
        news = program.envelope("SEND", lambda e: e.topic == f"{topic}.news")
        same(news.payload.text, "news", "the broadcast")
        if news.correlation_id:
            acknowledge(program, news)
        program.batch(envelope("SEND", correlation_id=7, to="echo-1", payload=text_payload(topic)))
        ack = program.envelope("ACK", lambda e: e.correlation_id == 7)
        check(not ack.HasField("error"), f"the acknowledgement {ack}")
        kept = [each["from"] for each in plain(ask(cluster, "echo-1", "list").payload.json) if each["text"] == topic]
        same(kept, [name], "who the agent was sent it by")
        program.batch(envelope("SEND", correlation_id=8, to="nobody-at-all", payload=text_payload(topic)))
        same(program.envelope("ACK", lambda e: e.correlation_id == 8).error.code, 5, "the code of what cannot be delivered")


@case("attach.demand")
def demand(cluster):
    program, _ = attach(cluster)
    with program:
        program.batch(envelope("REQUEST", correlation_id=1, to="counter-1", payload=text_payload("parts 6"), streaming=True, demand=2))
        program.until(lambda: len(program.envelopes("CHUNK")) >= 2, "two parts")
        program.pong()
        same(len(program.envelopes("CHUNK")), 2, "the parts that come at first")
        program.batch(envelope("DEMAND", correlation_id=1, demand=10))
        last = program.envelope("RESPONSE")
        same([(e.sequence, e.payload.text) for e in program.envelopes("CHUNK")], [(n, str(n)) for n in range(1, 7)], "the parts")
        same(plain(last.payload.json), {"parts": 6}, "the answer")


@case("attach.cancel")
def cancel(cluster):
    program, name = attach(cluster)
    with program:
        call = cluster.gateway.tasks.Run.future(tasks_pb2.RunRequest(task=task_of(f"can.{name}")), timeout=20)
        came = program.envelope("TASK")
        call.cancel()
        program.envelope("CANCEL", lambda e: e.correlation_id == came.correlation_id)
        asked = messaging_pb2.RequestRequest(to=name, payload=text_payload("slow"))
        fails(lambda: cluster.node.messaging.Request(asked, timeout=0.5), "DEADLINE_EXCEEDED")
        question = program.envelope("REQUEST")
        program.envelope("CANCEL", lambda e: e.correlation_id == question.correlation_id)
