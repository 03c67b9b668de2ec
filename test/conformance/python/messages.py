"""Messages by plain calls: send, request, broadcast, subscribe."""

from harness import case, check, eventually, fails, plain, same, text_payload
from troupe.v1 import messaging_pb2


def ask(cluster, to, text, headers=None):
    request = messaging_pb2.RequestRequest(to=to, payload=text_payload(text), headers=headers or {})
    return cluster.gateway.messaging.Request(request, timeout=10)


def subscribe(at, *topics):
    """A stream on which the subscription is known, and its id."""
    call = at.messaging.Subscribe(messaging_pb2.SubscribeRequest(topics=topics), timeout=20)
    first = next(call)
    check(first.HasField("subscribed"), "the first response is not `subscribed`")
    return call, first.subscribed.id


def broadcast(at, topic, text, headers=None):
    request = messaging_pb2.BroadcastRequest(topic=topic, payload=text_payload(text), headers=headers or {})
    return at.messaging.Broadcast(request, timeout=10)


@case("messages.send")
def send(cluster):
    text = cluster.fresh("note")
    for at in (cluster.gateway, cluster.node):
        at.messaging.Send(messaging_pb2.SendRequest(to="echo-1", payload=text_payload(text), headers={"ticket": "42"}), timeout=10)
    kept = [each for each in plain(ask(cluster, "echo-1", "list").payload.json) if each["text"] == text]
    same([(each["headers"].get("ticket"), each["topic"]) for each in kept], [("42", "")] * 2, "what the agent has")
    check(all(each["from"] for each in kept), "a message without a sender")
    nobody = messaging_pb2.SendRequest(to="nobody-at-all", payload=text_payload(text))
    fails(lambda: cluster.gateway.messaging.Send(nobody, timeout=10), "NOT_FOUND", "UNKNOWN_AGENT")
    deaf = messaging_pb2.SendRequest(to="failing-1", payload=text_payload(text))
    fails(lambda: cluster.gateway.messaging.Send(deaf, timeout=10), "FAILED_PRECONDITION", "NO_RECEIVE")


@case("messages.request")
def request(cluster):
    for agent in ("echo-1", "echo-2"):
        answer = ask(cluster, agent, "Grüße", {"colour": "blue"})
        same(answer.__getattribute__("from"), agent, "who answered")
        seen = plain(answer.payload.json)
        same((seen["text"], seen["headers"].get("colour"), seen["topic"]), ("Grüße", "blue", ""), "what the agent saw")


@case("messages.broadcast")
def to_all(cluster):
    call, listener = subscribe(cluster.node, "conformance.*")
    text = cluster.fresh("news")

    def everybody():
        answer = broadcast(cluster.gateway, "conformance.all", text, {"source": "test"})
        same(dict(answer.delivered), {"echo-1": True, "echo-2": True, listener: True}, "the receipts")
        same(list(answer.silent_nodes), [], "silent nodes")

    eventually(everybody)
    message = next(call).message
    same((message.topic, message.payload.text, message.headers["source"]), ("conformance.all", text, "test"), "the message")
    for agent in ("echo-1", "echo-2"):
        kept = [each["topic"] for each in plain(ask(cluster, agent, "list").payload.json) if each["text"] == text]
        check(kept and set(kept) == {"conformance.all"}, f"{agent} has {kept}")
    call.cancel()
    nobody = broadcast(cluster.gateway, f"nobody.{text}", text)
    same(dict(nobody.delivered), {}, "the receipts of a topic that nobody wants")
    fails(lambda: broadcast(cluster.gateway, "conformance.*", text), "INVALID_ARGUMENT", "INVALID_FIELD")


@case("messages.subscribe")
def listen(cluster):
    base = cluster.fresh("topic")
    call, listener = subscribe(cluster.gateway, f"{base}.*.eu", f"{base}.all.>")
    for topic, is_wanted in ((f"{base}.orders.eu", True), (f"{base}.orders.us", False), (f"{base}.all", False), (f"{base}.all.a.b", True)):
        answer = eventually(lambda topic=topic, wanted=is_wanted: delivered(cluster, topic, {listener: True} if wanted else {}))
        same(list(answer.silent_nodes), [], "silent nodes")
    seen = [next(call).message for _ in range(2)]
    same([each.topic for each in seen], [f"{base}.orders.eu", f"{base}.all.a.b"], "the topics")
    call.cancel()

    def forgotten():
        topics = cluster.gateway.messaging.ListTopics(messaging_pb2.ListTopicsRequest(page_size=1000), timeout=10).topics
        check(not [each for each in topics if each.pattern.startswith(base)], "the subscription is still known")

    eventually(forgotten)
    fails(lambda: cluster.gateway.messaging.Subscribe(messaging_pb2.SubscribeRequest(), timeout=10), "INVALID_ARGUMENT", "INVALID_FIELD")


def delivered(cluster, topic, wanted):
    answer = broadcast(cluster.gateway, topic, topic)
    same(dict(answer.delivered), wanted, f"the receipts of {topic}")
    return answer
