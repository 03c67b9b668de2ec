package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	troupe "troupe.dev/conformance/gen/troupe/v1"
)

func register(c *cluster, lease int64, service string, names ...string) *troupe.RegisterResponse {
	request := &troupe.RegisterRequest{LeaseId: lease}
	if lease == 0 {
		request.Ttl = durationpb.New(time.Minute)
	}
	for _, name := range names {
		endpoint := &troupe.Endpoint{Host: "127.0.0.1", Port: 9}
		request.Instances = append(request.Instances, &troupe.Instance{Service: service, Id: name, Endpoint: endpoint})
	}
	return got(c.gateway.registry.Register(within(10), request))
}

func deregister(c *cluster, lease int64, keys ...*troupe.InstanceKey) int64 {
	return got(c.gateway.registry.Deregister(within(10), &troupe.DeregisterRequest{LeaseId: lease, Instances: keys})).GetRevision()
}

func registryPages(c *cluster) {
	service := fresh("service")
	wanted := []string{"i-0", "i-1", "i-2", "i-3", "i-4", "i-5", "i-6"}
	lease := register(c, 0, service, wanted...).GetLeaseId()
	list := func(size int32, token string) ([]string, string) {
		request := &troupe.ListInstancesRequest{Service: service, PageSize: size, PageToken: token}
		page := got(c.gateway.registry.ListInstances(within(10), request))
		var names []string
		for _, each := range page.GetInstances() {
			names = append(names, each.GetId())
		}
		return names, page.GetNextPageToken()
	}
	eventually(func() {
		names, token := list(0, "")
		same(names, wanted, "one page")
		same(token, "", "its token")
	})
	var names []string
	var sizes []int
	for token := ""; len(sizes) == 0 || token != ""; {
		page, next := list(3, token)
		names, sizes, token = append(names, page...), append(sizes, len(page)), next
	}
	same(sizes, []int{3, 3, 1}, "the pages")
	same(names, wanted, "what they hold")
	_, err := c.gateway.registry.ListInstances(within(10), &troupe.ListInstancesRequest{PageSize: -1})
	wrong := fails(err, codes.InvalidArgument, "INVALID_FIELD")
	check(strings.Contains(wrong.message, "page_size"), "the message %v", wrong)
	_, err = c.gateway.registry.ListInstances(within(10), &troupe.ListInstancesRequest{PageToken: "no token of ours"})
	fails(err, codes.InvalidArgument, "")
	deregister(c, lease)
}

func registryDiscover(c *cluster) {
	discover := func(capability string) (*troupe.Instance, error) {
		response, err := c.gateway.registry.Discover(within(10), &troupe.DiscoverRequest{Capabilities: []string{capability}})
		return response.GetInstance(), err
	}
	found := map[string]bool{}
	for range 4 {
		found[got(discover("conformance.echo")).GetId()] = true
	}
	same(found, map[string]bool{"echo-1": true, "echo-2": true}, "the agents")
	agent := got(discover("conformance.count"))
	key := &troupe.InstanceKey{Service: "node", Id: agent.GetNodeId()}
	node := got(c.gateway.registry.GetInstance(within(10), &troupe.GetInstanceRequest{Key: key})).GetInstance()
	check(proto.Equal(agent.GetEndpoint(), node.GetEndpoint()), "%v is not at %v", agent, node)
	same(agent.GetStatus(), troupe.InstanceStatus_INSTANCE_STATUS_UP, "the status")
	fails(second(discover("juggling")), codes.NotFound, "")
}

func registryWatch(c *cluster) {
	service := fresh("service")
	first := register(c, 0, service, "one")
	ctx, cancel := context.WithCancel(within(20))
	defer cancel()
	stream := got(c.gateway.registry.Watch(ctx, &troupe.WatchRequest{Service: service}))
	known := map[string]*troupe.Instance{}
	var revisions []int64
	until := func(wanted ...string) {
		for !slices.Equal(slices.Sorted(maps.Keys(known)), wanted) {
			switch event := got(stream.Recv()).GetEvent().(type) {
			case *troupe.WatchResponse_Snapshot:
				check(len(revisions) > 0 || event.Snapshot.GetFirst(), "a snapshot begins in the middle")
				for _, each := range event.Snapshot.GetInstances() {
					known[each.GetId()] = each
				}
				if event.Snapshot.GetLast() {
					revisions = append(revisions, event.Snapshot.GetRevision())
				}
			case *troupe.WatchResponse_Changes:
				revisions = append(revisions, event.Changes.GetRevision())
				for _, change := range event.Changes.GetChanges() {
					if put := change.GetPut(); put != nil {
						known[put.GetId()] = put
					} else {
						delete(known, change.GetRemoved().GetId())
					}
				}
			}
		}
	}
	until("one")
	both := register(c, first.GetLeaseId(), service, "two", "three")
	until("one", "three", "two")
	same(known["two"].GetRevision(), both.GetRevision(), "the revision of what was registered")
	deregister(c, first.GetLeaseId(), &troupe.InstanceKey{Service: service, Id: "two"})
	until("one", "three")
	deregister(c, first.GetLeaseId())
	until()
	check(slices.IsSorted(revisions), "the revisions: %v", revisions)
}

func registryResume(c *cluster) {
	service := fresh("service")
	first := register(c, 0, service, "one")
	register(c, first.GetLeaseId(), service, "two")
	last := deregister(c, first.GetLeaseId(), &troupe.InstanceKey{Service: service, Id: "one"})
	ctx, cancel := context.WithCancel(within(20))
	defer cancel()
	stream := got(c.gateway.registry.Watch(ctx, &troupe.WatchRequest{Service: service, FromRevision: first.GetRevision()}))
	var seen []string
	for at := int64(0); at < last; {
		event := got(stream.Recv())
		check(event.GetSnapshot() == nil, "a snapshot came")
		for _, change := range event.GetChanges().GetChanges() {
			if put := change.GetPut(); put != nil {
				seen = append(seen, put.GetId())
			} else {
				seen = append(seen, "not "+change.GetRemoved().GetId())
			}
		}
		at = max(at, event.GetChanges().GetRevision())
	}
	same(seen, []string{"two", "not one"}, "the changes")
	deregister(c, first.GetLeaseId())
}

func registryLease(c *cluster) {
	held := register(c, 0, fresh("service"), "one").GetLeaseId()
	stream := got(c.gateway.registry.KeepAlive(within(20)))
	for _, sequence := range []uint64{1, 7} {
		must(stream.Send(&troupe.KeepAliveRequest{LeaseId: held, Sequence: sequence}))
		answer := got(stream.Recv())
		same([]any{answer.GetLeaseId(), answer.GetSequence(), answer.GetTtl().GetSeconds()}, []any{held, sequence, int64(60)}, "the answer")
	}
	deregister(c, held)
	must(stream.Send(&troupe.KeepAliveRequest{LeaseId: held, Sequence: 8}))
	fails(second(stream.Recv()), codes.NotFound, "LEASE_NOT_FOUND")
}
