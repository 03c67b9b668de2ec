"""What the cases share: their names, the cluster they talk to, and how to read an error."""

import secrets
import time

import grpc
from google.protobuf import struct_pb2
from google.rpc import error_details_pb2, status_pb2
from troupe.v1 import messaging_pb2_grpc, node_pb2_grpc, payload_pb2, registry_pb2_grpc, task_pb2, tasks_pb2, tasks_pb2_grpc

CASES = {}
DETAILS = (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo, error_details_pb2.QuotaFailure)


def case(name):
    def register(function):
        CASES[name] = function
        return function

    return register


class At:
    """The stubs of one process."""

    def __init__(self, address):
        self.address = address
        self.channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self.tasks = tasks_pb2_grpc.TasksStub(self.channel)
        self.registry = registry_pb2_grpc.RegistryStub(self.channel)
        self.messaging = messaging_pb2_grpc.MessagingStub(self.channel)
        self.node = node_pb2_grpc.NodeStub(self.channel)


class Cluster:
    def __init__(self, gateway, node):
        self.gateway = At(gateway)
        # A node other than the one that hosts most agents.
        self.node = At(node)

    def fresh(self, what):
        """A name that nobody else has."""
        return f"{what}-py-{secrets.token_hex(4)}"


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what() if callable(what) else what)


def same(got, wanted, what):
    if got != wanted:
        raise Failed(f"{what}: got {got!r}, not {wanted!r}")


def eventually(work, seconds=10):
    end = time.monotonic() + seconds
    while True:
        try:
            return work()
        except (Failed, grpc.RpcError):
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def json_payload(value):
    payload = payload_pb2.Payload()
    payload.json.CopyFrom(value_of(value))
    return payload


def value_of(value):
    if isinstance(value, dict):
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields={key: value_of(each) for key, each in value.items()}))
    if isinstance(value, list):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[value_of(each) for each in value]))
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    return struct_pb2.Value(number_value=value)


def plain(value):
    """The JSON value that a google.protobuf.Value stands for."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: plain(each) for key, each in value.struct_value.fields.items()}
    if kind == "list_value":
        return [plain(each) for each in value.list_value.values]
    return None if kind in ("null_value", None) else getattr(value, kind)


def text_payload(text):
    return payload_pb2.Payload(text=text)


def run_request(capability, value=None, **fields):
    return tasks_pb2.RunRequest(task=task_of(capability, value, **fields))


def task_of(capability, value=None, **fields):
    return task_pb2.Task(required_capabilities=[capability], payload=json_payload(value), **fields)


class Fault:
    """An error of gRPC with its details, by the types of google.rpc."""

    def __init__(self, code, message, details):
        self.code, self.message, self.details = code, message, details
        info = self.of(error_details_pb2.ErrorInfo)
        self.reason = info.reason if info else ""
        self.domain = info.domain if info else ""
        self.metadata = dict(info.metadata) if info else {}

    def of(self, kind):
        return next((each for each in self.details if isinstance(each, kind)), None)

    def __repr__(self):
        return f"{self.code} {self.reason} {self.message!r} {[type(each).__name__ for each in self.details]}"


def fault_of(error):
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
            same(status.code, error.code().value[0], "the code in the details")
    return Fault(error.code().name, error.details(), details_of(status))


def details_of(status):
    details = []
    for packed in status.details:
        for kind in DETAILS:
            detail = kind()
            if packed.Unpack(detail):
                details.append(detail)
    return details


def fails(call, code, reason=None):
    """The error that `call` ends with."""
    try:
        got = call()
        if hasattr(got, "__next__"):
            got = list(got)
    except grpc.RpcError as error:
        fault = fault_of(error)
        same(fault.code, code, f"the code of {fault}")
        if reason is not None:
            same((fault.reason, fault.domain), (reason, "troupe.dev"), f"the reason of {fault}")
        return fault
    raise Failed(f"no {code}, but {got}")
