"""Errors and their details, limits, what is malformed; health and reflection."""

import queue
import threading

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from harness import case, check, fails, plain, run_request, same
from troupe.v1 import messaging_pb2, payload_pb2, task_pb2, tasks_pb2

MAX_PAYLOAD = 4 * 1024 * 1024 - 64 * 1024


@case("errors.fields")
def fields(cluster):
    task = task_pb2.Task(id="a/b", required_capabilities=["Not A Name"], labels={"k": "x" * 2000})
    fault = fails(lambda: cluster.gateway.tasks.Run(tasks_pb2.RunRequest(task=task), timeout=10), "INVALID_ARGUMENT", "INVALID_FIELD")
    bad = fault.of(error_details_pb2.BadRequest)
    check(bad, f"no BadRequest in {fault}")
    named = {each.field for each in bad.field_violations}
    check({"task.id", "task.required_capabilities[0]"} <= named and any("labels" in each for each in named), f"the fields {named}")
    check(all(each.description for each in bad.field_violations), "a violation without a description")


@case("errors.info")
def info(cluster):
    fault = fails(lambda: cluster.gateway.tasks.Run(run_request("juggling"), timeout=10), "NOT_FOUND", "NO_AGENT")
    same(fault.metadata, {"required_capabilities": "juggling"}, "the metadata")


@case("errors.retry")
def retry(cluster):
    once = task_pb2.RetryPolicy(max_attempts=1)
    request = run_request("conformance.narrow", {"ms": 5_000}, retry=once)
    # One is worked on, one waits, and one is refused at once.
    calls = [cluster.gateway.tasks.Run.future(request, timeout=10) for _ in range(3)]
    ended = queue.Queue()
    for call in calls:
        call.add_done_callback(ended.put)
    fault = fails(ended.get(timeout=10).result, "RESOURCE_EXHAUSTED")
    again = fault.of(error_details_pb2.RetryInfo)
    check(again and again.retry_delay.ToNanoseconds() > 0, f"no RetryInfo in {fault}")
    for call in calls:
        call.cancel()


@case("errors.agent")
def of_the_agent(cluster):
    fault = fails(lambda: cluster.gateway.tasks.Run(run_request("conformance.fail"), timeout=10), "FAILED_PRECONDITION", "NO_MODEL")
    same((fault.message, fault.metadata.get("model")), ("train it first", "m-1"), "message and metadata")


@case("input.limit")
def limit(cluster):
    def ask(size):
        # The tag of `data` and its length take five bytes.
        payload = payload_pb2.Payload(data=b"x" * (size - 5))
        same(payload.ByteSize(), size, "the size of the payload")
        return cluster.gateway.messaging.Request(messaging_pb2.RequestRequest(to="echo-2", payload=payload), timeout=20)

    same(plain(ask(MAX_PAYLOAD).payload.json), {"bytes": MAX_PAYLOAD - 5}, "what the agent got")
    fault = fails(lambda: ask(MAX_PAYLOAD + 1), "INVALID_ARGUMENT", "INVALID_FIELD")
    check("payload" in fault.message, f"the message {fault}")
    fails(lambda: ask(4 * 1024 * 1024 + 1), "RESOURCE_EXHAUSTED")


@case("input.method")
def method(cluster):
    for path in ("/troupe.v1.Tasks/Juggle", "/troupe.v1.Circus/Run"):
        fails(lambda path=path: cluster.gateway.channel.unary_unary(path)(b"", timeout=10), "UNIMPLEMENTED")


@case("input.malformed")
def malformed(cluster):
    call = cluster.gateway.channel.unary_unary("/troupe.v1.Tasks/Run")
    fails(lambda: call(b"\x0a\xff", timeout=10), "INVALID_ARGUMENT", "MALFORMED_MESSAGE")


@case("input.unknown")
def unknown(cluster):
    call = cluster.gateway.channel.unary_unary("/troupe.v1.Tasks/Run", response_deserializer=tasks_pb2.RunResponse.FromString)
    # Field 1000, a varint; and field 1001, of bytes.
    request = run_request("conformance.echo", "hello").SerializeToString() + bytes.fromhex("c03e07ca3e026869")
    same(plain(call(request, timeout=10).result.payload.json)["input"], "hello", "the payload")


@case("health.check")
def health(cluster):
    for at, services in (
        (cluster.gateway, ("", "troupe.v1.Tasks", "troupe.v1.Registry", "troupe.v1.Node", "troupe.v1.Messaging")),
        (cluster.node, ("", "troupe.v1.Tasks", "troupe.v1.Node", "troupe.v1.Messaging")),
    ):
        stub = health_pb2_grpc.HealthStub(at.channel)
        for service in services:
            status = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status
            same(status, health_pb2.HealthCheckResponse.SERVING, f"the health of {service!r}")
        fails(lambda stub=stub: stub.Check(health_pb2.HealthCheckRequest(service="nothing.here"), timeout=10), "NOT_FOUND")
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
        same(next(watch).status, health_pb2.HealthCheckResponse.SERVING, "the first word of Watch")
        watch.cancel()


@case("reflection.list")
def reflection(cluster):
    def ask(version, **request):
        # v1 and v1alpha differ in nothing but their name.
        call = cluster.gateway.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        asked = threading.Event()

        def requests():
            yield reflection_pb2.ServerReflectionRequest(**request)
            asked.wait(10)

        try:
            return next(call(requests(), timeout=10))
        finally:
            asked.set()

    for version in ("v1", "v1alpha"):
        listed = {each.name for each in ask(version, list_services="*").list_services_response.service}
        wanted = {"troupe.v1.Tasks", "troupe.v1.Registry", "troupe.v1.Node", "troupe.v1.Messaging", "grpc.health.v1.Health"}
        check(wanted <= listed, f"the services {listed}")
        found = ask(version, file_containing_symbol="troupe.v1.Tasks").file_descriptor_response.file_descriptor_proto
        files = {}
        for data in found:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            files[file.name] = file
        pool = descriptor_pool.DescriptorPool()

        def add(name):
            file = files.pop(name, None)
            if file is None:
                return
            for dependency in file.dependency:
                add(dependency)
            pool.Add(file)

        for name in list(files):
            add(name)
        run = pool.FindServiceByName("troupe.v1.Tasks").methods_by_name["Run"]
        request = message_factory.GetMessageClass(run.input_type)()
        request.task.required_capabilities.append("conformance.echo")
        request.task.payload.json.string_value = "by reflection"
        call = cluster.gateway.channel.unary_unary(
            "/troupe.v1.Tasks/Run",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(run.output_type).FromString,
        )
        got = call(request, timeout=10).result.payload.json.struct_value.fields["input"].string_value
        same(got, "by reflection", "the payload")
