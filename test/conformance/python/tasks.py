"""Tasks: run, stream, resume, deadlines, cancellation, trace context."""

import time

import grpc
from google.protobuf import duration_pb2, timestamp_pb2
from harness import case, check, eventually, fails, plain, run_request, same, task_of, text_payload
from proxy import Proxy
from troupe.v1 import messaging_pb2, task_pb2, tasks_pb2, tasks_pb2_grpc


@case("tasks.run")
def run(cluster):
    given = {"text": "Grüße, 世界", "number": 0.5, "none": None, "list": [True, {"deep": "yes"}]}
    for at in (cluster.gateway, cluster.node):
        result = at.tasks.Run(run_request("conformance.echo", given, id=cluster.fresh("task")), timeout=10).result
        same(plain(result.payload.json)["input"], given, "the payload")
        same((result.state, result.attempt), (task_pb2.TASK_STATE_COMPLETED, 1), "state and attempt")
        same(result.node_id, f"node-{result.agent_id[-1]}", "the node of the agent")


@case("tasks.stream")
def stream(cluster):
    request = tasks_pb2.RunStreamRequest(task=task_of("conformance.count", {"count": 5}))
    events = [response.event for response in cluster.gateway.tasks.RunStream(request, timeout=10)]
    same([event.WhichOneof("event") for event in events], ["accepted", "routed", "progress", *["chunk"] * 5, "result"], "the events")
    same([event.cursor for event in events], list(range(1, 10)), "the cursors")
    same(len({event.task_id for event in events}), 1, "the number of task ids")
    same([(event.chunk.sequence, plain(event.chunk.payload.json)["n"]) for event in events[3:8]], [(n, n) for n in range(1, 6)], "the chunks")
    same((events[2].progress.fraction, events[2].progress.note), (0.5, "half way"), "the progress")
    same((events[1].routed.node_id, events[1].routed.agent_id), ("node-1", "counter-1"), "the agent")
    same(plain(events[8].result.payload.json), {"counted": 5}, "the result")
    check(all(event.HasField("time") for event in events), "an event has no time")


@case("tasks.resume")
def resume(cluster):
    window = duration_pb2.Duration(seconds=20)
    task = task_of("conformance.count", {"count": 30, "pause_ms": 20})
    seen = []
    with Proxy(cluster.gateway.address) as proxy, grpc.insecure_channel(proxy.address) as channel:
        call = tasks_pb2_grpc.TasksStub(channel).RunStream(tasks_pb2.RunStreamRequest(task=task, resume_window=window), timeout=20)
        for response in call:
            seen.append(response.event)
            if len(seen) == 8:
                break
        # The connection is lost; a call that is cancelled would call the work off.
        proxy.cut()
        fails(lambda: list(call), "UNAVAILABLE")
    node_id = next(event.routed.node_id for event in seen if event.HasField("routed"))
    again = tasks_pb2.StreamResume(task_id=seen[0].task_id, node_id=node_id, after_cursor=seen[-1].cursor)
    request = tasks_pb2.RunStreamRequest(resume=again, resume_window=window)
    # At another process than before. The first may not have noticed yet that its caller is gone.
    seen.extend(eventually(lambda: [response.event for response in cluster.node.tasks.RunStream(request, timeout=20)]))
    same([event.cursor for event in seen], list(range(1, 35)), "the cursors")
    same([plain(event.chunk.payload.json)["n"] for event in seen if event.HasField("chunk")], list(range(1, 31)), "the chunks")
    same(plain(seen[-1].result.payload.json), {"counted": 30}, "the result")
    gone = tasks_pb2.RunStreamRequest(resume=tasks_pb2.StreamResume(task_id="never-was", node_id="node-1", after_cursor=1))
    fails(lambda: cluster.gateway.tasks.RunStream(gone, timeout=10), "NOT_FOUND")


def sleep_state(cluster, name):
    request = messaging_pb2.RequestRequest(to="sleeper-1", payload=text_payload(name))
    return plain(cluster.gateway.messaging.Request(request, timeout=10).payload.json)


def stopped_with(cluster, name, *codes):
    def look():
        state = sleep_state(cluster, name)
        check(state.get("stopped") in codes, f"what the agent tells: {state}")

    eventually(look)


@case("deadline.call")
def deadline_of_the_call(cluster):
    name = cluster.fresh("sleep")
    begin = time.monotonic()
    fails(lambda: cluster.gateway.tasks.Run(run_request("conformance.sleep", {"name": name}), timeout=0.5), "DEADLINE_EXCEEDED")
    check(0.4 < time.monotonic() - begin < 3, lambda: f"it took {time.monotonic() - begin} s")
    # Whichever is first there: the deadline, or that the client has gone at its deadline.
    stopped_with(cluster, name, "DEADLINE_EXCEEDED", "CANCELLED")


@case("deadline.task")
def deadline_of_the_task(cluster):
    name = cluster.fresh("sleep")
    begin = time.time()
    deadline = timestamp_pb2.Timestamp()
    deadline.FromNanoseconds(int((begin + 0.5) * 1e9))
    request = run_request("conformance.sleep", {"name": name}, deadline=deadline)
    fails(lambda: cluster.gateway.tasks.Run(request, timeout=20), "DEADLINE_EXCEEDED")
    check(0.3 < time.time() - begin < 4, lambda: f"it took {time.time() - begin} s")
    stopped_with(cluster, name, "DEADLINE_EXCEEDED")


@case("cancel.task")
def cancel(cluster):
    name = cluster.fresh("sleep")
    call = cluster.gateway.tasks.Run.future(run_request("conformance.sleep", {"name": name}), timeout=20)
    eventually(lambda: same(sleep_state(cluster, name), {"begun": True}, "what the agent tells"))
    call.cancel()
    stopped_with(cluster, name, "CANCELLED")


@case("trace.context")
def trace(cluster):
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    beside = {"tracestate": "shop=a:1,other@t=2", "baggage": "user=ada;p=1, cart=17"}
    metadata = (("traceparent", f"00-{trace_id}-b7ad6b7169203331-01"), *beside.items())
    for at in (cluster.gateway, cluster.node):
        result = at.tasks.Run(run_request("conformance.echo"), timeout=10, metadata=metadata).result
        seen = plain(result.payload.json)["trace"]
        version, trace_got, span, flags = seen["traceparent"].split("-")
        same((version, trace_got, flags), ("00", trace_id, "01"), "the trace context")
        check(len(span) == 16, f"the span {span!r}")
        same({name: seen.get(name) for name in beside}, beside, "what goes beside it")
    request = messaging_pb2.RequestRequest(to="echo-2", payload=text_payload("trace"))
    answer = plain(cluster.gateway.messaging.Request(request, timeout=10, metadata=metadata).payload.json)
    check(trace_id in answer["headers"].get("traceparent", ""), f"the headers of a message: {answer['headers']}")
    same({name: answer["headers"].get(name) for name in beside}, beside, "what goes beside it in a message")
