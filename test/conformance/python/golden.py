"""Reads golden bytes and writes them again: prints for each message what it means, as JSON, and the bytes that come of it.

    PYTHONPATH=<stubs> <python> golden.py test/conformance/golden/envelopes.json
"""

import json
import sys

from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2  # noqa: F401: an error's details are read by name
from troupe.v1 import messaging_pb2, registry_pb2, tasks_pb2  # noqa: F401: so are messages


def main():
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            for each in json.load(file):
                message = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(each["type"]))()
                message.ParseFromString(bytes.fromhex(each["hex"]))
                again = message.SerializeToString(deterministic=True).hex()
                message.DiscardUnknownFields()
                known = message.SerializeToString(deterministic=True).hex()
                meaning = json_format.MessageToDict(message)
                print(json.dumps({"name": each["name"], "json": meaning, "hex": again, "known": known}))


if __name__ == "__main__":
    main()
