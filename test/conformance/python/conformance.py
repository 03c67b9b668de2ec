"""Does what test/conformance/cases.json lists, against a cluster, and prints a line of JSON for each case.

    PYTHONPATH=<stubs> <python> conformance.py --gateway 127.0.0.1:8080 --node 127.0.0.1:8765 tasks.run tasks.stream
"""

import argparse
import json
import traceback

import grpc

# Each says which cases it has.
import attach  # noqa: F401
import errors  # noqa: F401
import messages  # noqa: F401
import registry  # noqa: F401
import sessions  # noqa: F401
import tasks  # noqa: F401
from harness import CASES, Cluster, Failed, fault_of


def outcome(name, cluster):
    try:
        if name not in CASES:
            raise Failed("this client has no such case")
        CASES[name](cluster)
        return True, ""
    except Failed as error:
        return False, str(error)
    except grpc.RpcError as error:
        return False, f"{fault_of(error)}\n{traceback.format_exc()}"
    except Exception:
        return False, traceback.format_exc()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", default="127.0.0.1:8080")
    parser.add_argument("--node", default="127.0.0.1:8765")
    parser.add_argument("cases", nargs="*", help="all that this client has where none is given")
    options = parser.parse_args()
    cluster = Cluster(options.gateway, options.node)
    for name in options.cases or CASES:
        ok, detail = outcome(name, cluster)
        print(json.dumps({"case": name, "ok": ok, "detail": detail}), flush=True)


if __name__ == "__main__":
    main()
