"""The registry: pages, discovery, watches, leases."""

import queue

from google.protobuf import duration_pb2
from harness import case, check, eventually, fails, same
from troupe.v1 import instance_pb2, registry_pb2


def instance(service, name, **fields):
    return instance_pb2.Instance(service=service, id=name, endpoint=instance_pb2.Endpoint(host="127.0.0.1", port=9), **fields)


def register(cluster, service, *names, lease=0):
    request = registry_pb2.RegisterRequest(
        instances=[instance(service, name) for name in names], lease_id=lease, ttl=None if lease else duration_pb2.Duration(seconds=60)
    )
    return cluster.gateway.registry.Register(request, timeout=10)


def deregister(cluster, lease, *keys):
    request = registry_pb2.DeregisterRequest(lease_id=lease, instances=[registry_pb2.InstanceKey(service=s, id=i) for s, i in keys])
    return cluster.gateway.registry.Deregister(request, timeout=10)


@case("registry.pages")
def pages(cluster):
    service = cluster.fresh("service")
    lease = register(cluster, service, *(f"i-{n}" for n in range(7))).lease_id
    listed = cluster.gateway.registry.ListInstances

    def all_of_them():
        whole = listed(registry_pb2.ListInstancesRequest(service=service), timeout=10)
        same(([each.id for each in whole.instances], whole.next_page_token), ([f"i-{n}" for n in range(7)], ""), "one page")

    eventually(all_of_them)
    token, sizes, names = "", [], []
    while True:
        page = listed(registry_pb2.ListInstancesRequest(service=service, page_size=3, page_token=token), timeout=10)
        sizes.append(len(page.instances))
        names += [each.id for each in page.instances]
        token = page.next_page_token
        if not token:
            break
    same((sizes, names), ([3, 3, 1], [f"i-{n}" for n in range(7)]), "the pages")
    wrong = fails(lambda: listed(registry_pb2.ListInstancesRequest(page_size=-1), timeout=10), "INVALID_ARGUMENT", "INVALID_FIELD")
    check("page_size" in wrong.message, f"the message {wrong}")
    fails(lambda: listed(registry_pb2.ListInstancesRequest(page_token="no token of ours"), timeout=10), "INVALID_ARGUMENT")
    deregister(cluster, lease)


@case("registry.discover")
def discover(cluster):
    request = registry_pb2.DiscoverRequest(capabilities=["conformance.echo"])
    found = {cluster.gateway.registry.Discover(request, timeout=10).instance.id for _ in range(4)}
    same(found, {"echo-1", "echo-2"}, "the agents")
    agent = cluster.gateway.registry.Discover(registry_pb2.DiscoverRequest(capabilities=["conformance.count"]), timeout=10).instance
    key = registry_pb2.InstanceKey(service="node", id=agent.node_id)
    node = cluster.gateway.registry.GetInstance(registry_pb2.GetInstanceRequest(key=key), timeout=10).instance
    same((agent.endpoint, agent.status), (node.endpoint, instance_pb2.INSTANCE_STATUS_UP), "endpoint and status")
    fails(lambda: cluster.gateway.registry.Discover(registry_pb2.DiscoverRequest(capabilities=["juggling"]), timeout=10), "NOT_FOUND")


def events_of(call):
    """Snapshots and changes; that nothing happened is passed over."""
    for response in call:
        if not response.HasField("progress"):
            yield response


@case("registry.watch")
def watch(cluster):
    service = cluster.fresh("service")
    first = register(cluster, service, "one")
    call = cluster.gateway.registry.Watch(registry_pb2.WatchRequest(service=service), timeout=20)
    events = events_of(call)
    known, revisions = {}, []

    def until(wanted):
        while set(known) != wanted:
            event = next(events)
            if event.HasField("snapshot"):
                check(not revisions or event.snapshot.first, "a snapshot begins in the middle")
                known.update({each.id: each for each in event.snapshot.instances})
                if event.snapshot.last:
                    revisions.append(event.snapshot.revision)
                continue
            revisions.append(event.changes.revision)
            for change in event.changes.changes:
                if change.HasField("put"):
                    known[change.put.id] = change.put
                else:
                    known.pop(change.removed.id)

    until({"one"})
    second = register(cluster, service, "two", "three", lease=first.lease_id)
    until({"one", "two", "three"})
    same(known["two"].revision, second.revision, "the revision of what was registered")
    deregister(cluster, first.lease_id, (service, "two"))
    until({"one", "three"})
    deregister(cluster, first.lease_id)
    until(set())
    same(revisions, sorted(revisions), "the revisions")
    call.cancel()


@case("registry.resume")
def resume(cluster):
    service = cluster.fresh("service")
    first = register(cluster, service, "one")
    register(cluster, service, "two", lease=first.lease_id)
    last = deregister(cluster, first.lease_id, (service, "one"))
    call = cluster.gateway.registry.Watch(registry_pb2.WatchRequest(service=service, from_revision=first.revision), timeout=20)
    changes = []
    for event in events_of(call):
        check(event.HasField("changes"), "a snapshot came")
        changes += [change.put.id or f"not {change.removed.id}" for change in event.changes.changes]
        if event.changes.revision >= last.revision:
            break
    same(changes, ["two", "not one"], "the changes")
    call.cancel()
    deregister(cluster, first.lease_id)


@case("registry.lease")
def lease(cluster):
    service = cluster.fresh("service")
    held = register(cluster, service, "one").lease_id
    requests = queue.Queue()
    answers = cluster.gateway.registry.KeepAlive(iter(requests.get, None), timeout=20)
    for sequence in (1, 7):
        requests.put(registry_pb2.KeepAliveRequest(lease_id=held, sequence=sequence))
        answer = next(answers)
        same((answer.lease_id, answer.sequence, answer.ttl.seconds), (held, sequence, 60), "the answer")
    deregister(cluster, held)
    requests.put(registry_pb2.KeepAliveRequest(lease_id=held, sequence=8))
    fails(lambda: answers, "NOT_FOUND", "LEASE_NOT_FOUND")
    requests.put(None)
