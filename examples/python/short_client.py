"""Runs a task, and tells what an error says."""

import sys

import grpc
from google.rpc import error_details_pb2, status_pb2
from troupe.v1 import payload_pb2, task_pb2, tasks_pb2, tasks_pb2_grpc


def reason_of(error):
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return ""


address, capability, text = sys.argv[1:]
with grpc.insecure_channel(address) as channel:
    tasks = tasks_pb2_grpc.TasksStub(channel)
    task = task_pb2.Task(required_capabilities=[capability], payload=payload_pb2.Payload(text=text))
    try:
        result = tasks.Run(tasks_pb2.RunRequest(task=task), timeout=10).result
        print(result.agent_id, result.payload.text)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name} {reason_of(error)}: {error.details()}")
