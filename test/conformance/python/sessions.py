"""Sessions on Messaging.Connect: credit, pings, streams that break, leaving, clients, what is refused."""

from attach import acknowledge, attach, is_probe, sender, wait_for
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from harness import case, check, eventually, fails, plain, same, task_of, text_payload
from messages import broadcast
from program import Program, envelope
from troupe.v1 import messaging_pb2, registry_pb2, tasks_pb2


@case("attach.credit")
def credit(cluster):
    # Two are used by what waits until the agent is known.
    program, name = attach(cluster, credit=4)
    with program:
        for n in range(6):
            request = messaging_pb2.SendRequest(to=name, payload=text_payload(str(n)))
            cluster.gateway.messaging.Send(request, timeout=10)
        program.until(lambda: len(program.envelopes()) >= 4, "four envelopes")
        program.pong()
        before = len(program.envelopes())
        same(before, 4, "the envelopes that come for a credit of 4")
        for each in program.envelopes():
            acknowledge(program, each)
        program.send(credit=messaging_pb2.Credit(envelopes=10, received=program.received))
        program.until(lambda: len([e for e in program.envelopes("SEND") if not is_probe(e)]) == 6, "all messages")
        same([e.payload.text for e in program.envelopes("SEND") if not is_probe(e)], [str(n) for n in range(6)], "the messages")


@case("attach.ping")
def ping(cluster):
    program, _ = attach(cluster)
    with program:
        for number in (1, 2**53 - 1, 2**64 - 1):
            same(program.pong(number).id, number, "the pong")


@case("attach.resume")
def resume(cluster):
    name = cluster.fresh("agent")
    first = Program(cluster.gateway)
    welcome = first.hello(agent_id=name, concurrency=1000, grace=duration_pb2.Duration(seconds=20))
    wait_for(cluster, name)

    def send(numbers):
        for n in numbers:
            cluster.gateway.messaging.Send(messaging_pb2.SendRequest(to=name, payload=text_payload(str(n))), timeout=10)

    send(range(10))
    first.until(lambda: len(notes(first)) >= 5, "five messages")
    questions = [[envelope("REQUEST", correlation_id=n, to="echo-1", payload=text_payload(f"q{n}"))] for n in range(1, 11)]
    for sequence, envelopes in enumerate(questions[:5], 1):
        first.batch(*envelopes, sequence=sequence)
    first.breaks()
    first.ends("CANCELLED")
    send(range(10, 20))

    second = Program(cluster.gateway)
    with second:
        second.send(hello=messaging_pb2.Hello(resume_token=welcome.resume_token, received=first.received))
        again = second.frame("welcome")
        same((again.id, again.node_id), (name, welcome.node_id), "the session")
        check(again.received <= 5, f"the node has {again.received} of 5 batches")
        for sequence, envelopes in enumerate(questions, 1):
            if sequence > again.received:
                second.batch(*envelopes, sequence=sequence)
        send(range(20, 30))
        second.until(lambda: len(notes(first) + notes(second)) >= 30, "thirty messages")

        def answers():
            return [e.correlation_id for each in (first, second) for e in each.envelopes("RESPONSE")]

        second.until(lambda: len(answers()) >= 10, "ten answers")
        second.pong()
        same(notes(first) + notes(second), [str(n) for n in range(30)], "the messages")
        same(sorted(answers()), list(range(1, 11)), "the answers")


def notes(program):
    return [e.payload.text for e in program.envelopes("SEND") if not is_probe(e)]


@case("attach.drain")
def drain(cluster):
    program, name = attach(cluster)
    with program:
        asked = messaging_pb2.RequestRequest(to=name, payload=text_payload("last question"))
        call = cluster.gateway.messaging.Request.future(asked, timeout=10)
        came = program.envelope("REQUEST")
        program.send(drain=messaging_pb2.Drain())
        program.pong()
        held = len(program.envelopes("REQUEST"))
        # Whoever asks before all know that it leaves is refused by its node.
        run = tasks_pb2.RunRequest(task=task_of(f"can.{name}"))
        eventually(lambda: fails(lambda: cluster.gateway.tasks.Run(run, timeout=3), "NOT_FOUND", "NO_AGENT"))
        same((len(program.envelopes("REQUEST")), len(program.envelopes("TASK"))), (held, 0), "what came after the pong")
        program.batch(envelope("RESPONSE", correlation_id=came.correlation_id, payload=text_payload("last answer")))
        for each in program.envelopes("SEND"):
            acknowledge(program, each)
        same(call.result().payload.text, "last answer", "the answer")
        program.half_close()
        program.ends("OK")
        key = registry_pb2.InstanceKey(service="agent", id=name)
        get = cluster.gateway.registry.GetInstance
        eventually(lambda: fails(lambda: get(registry_pb2.GetInstanceRequest(key=key), timeout=10), "NOT_FOUND"))


@case("attach.client")
def client(cluster):
    with Program(cluster.gateway) as program:
        own = program.hello().id
        tasks = [envelope("TASK", correlation_id=n, task=task_of("conformance.echo", n)) for n in range(1, 51)]
        program.batch(*tasks)
        program.until(lambda: len(program.envelopes("RESULT")) == 50, "fifty results")
        results = {e.correlation_id: e.result for e in program.envelopes("RESULT")}
        same({n: plain(r.payload.json)["input"] for n, r in results.items()}, {n: n for n in range(1, 51)}, "the results")
        same({r.agent_id for r in results.values()}, {"echo-1", "echo-2"}, "the agents")

        program.batch(envelope("REQUEST", correlation_id=51, to="echo-2", payload=text_payload("who am I?")))
        answer = program.envelope("RESPONSE")
        same((sender(answer), plain(answer.payload.json)["from"]), ("echo-2", own), "the answer")
        program.batch(envelope("SEND", correlation_id=52, topic="conformance.all", payload=text_payload("news")))
        receipts = program.envelope("ACK", lambda e: e.correlation_id == 52).receipts
        same((sorted(receipts.delivered), list(receipts.refused)), (["echo-1", "echo-2"], []), "the receipts")
        streamed = envelope("TASK", correlation_id=53, task=task_of("conformance.count", {"count": 3}), streaming=True)
        program.batch(streamed)
        program.envelope("RESULT", lambda e: e.correlation_id == 53)
        came = [e.kind for e in program.envelopes() if e.correlation_id == 53]
        same(came, [envelope(kind).kind for kind in ("PROGRESS", "CHUNK", "CHUNK", "CHUNK", "RESULT")], "a streamed task")
        program.batch(envelope("TASK", correlation_id=54, task=task_of("juggling")))
        same(program.envelope("ERROR").error.code, 5, "the code of a task for nobody")
        program.half_close()
        program.ends("OK")


@case("attach.subscriptions")
def subscriptions(cluster):
    topic = cluster.fresh("topic")
    with Program(cluster.gateway) as program:
        own = program.hello(topics=[f"{topic}.a"]).id
        eventually(lambda: same(dict(broadcast(cluster.node, f"{topic}.a", "1").delivered), {own: True}, "the receipts"))
        change = messaging_pb2.SubscriptionChange(subscribe=[f"{topic}.b"], unsubscribe=[f"{topic}.a"])
        program.send(subscriptions=change)
        same(list(program.frame("subscriptions").topics), [f"{topic}.b"], "the topics")
        eventually(lambda: same(dict(broadcast(cluster.node, f"{topic}.b", "2").delivered), {own: True}, "the receipts"))
        eventually(lambda: same(dict(broadcast(cluster.node, f"{topic}.a", "3").delivered), {}, "the receipts"))
        program.envelope("SEND", lambda e: e.payload.text == "2" and e.correlation_id == 0)


@case("attach.refused")
def refused(cluster):
    note = envelope("SEND", correlation_id=1, to="echo-1", payload=text_payload("x"))
    for first, frames, code, reason in (
        (None, [{"batch": messaging_pb2.Batch(envelopes=[note])}], "FAILED_PRECONDITION", "NO_HELLO"),
        ({}, [{"hello": messaging_pb2.Hello()}], "FAILED_PRECONDITION", "HELLO_TWICE"),
        (None, [{"hello": messaging_pb2.Hello(resume_token="never-given")}], "NOT_FOUND", "UNKNOWN_SESSION"),
        (None, [{"hello": messaging_pb2.Hello(agent_id="Not An Id")}], "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({}, [{"batch": messaging_pb2.Batch(envelopes=[envelope("RESPONSE", correlation_id=99)])}], "INVALID_ARGUMENT", "UNKNOWN_CORRELATION_ID"),
        ({}, [{"credit": messaging_pb2.Credit(envelopes=2_000_000)}], "INVALID_ARGUMENT", "WRONG_CREDIT"),
    ):
        with Program(cluster.gateway) as program:
            if first is not None:
                program.hello(**first)
            for frame in frames:
                program.send(**frame)
            fault = program.ends(code, reason)
            if reason == "INVALID_FIELD":
                check(fault.of(error_details_pb2.BadRequest), f"no BadRequest in {fault}")
    forged = envelope("SEND", correlation_id=1, to="echo-1", payload=text_payload("x"))
    setattr(forged, "from", "somebody-else")
    with Program(cluster.gateway) as program:
        program.hello()
        program.batch(forged)
        program.ends("INVALID_ARGUMENT", "FORGED_SENDER")
