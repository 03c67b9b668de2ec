package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	troupe "troupe.dev/conformance/gen/troupe/v1"
)

func tasksRun(c *cluster) {
	given := fields{"text": "Grüße, 世界", "number": 0.5, "none": nil, "list": []any{true, fields{"deep": "yes"}}}
	for _, each := range []*at{c.gateway, c.node} {
		result := got(each.tasks.Run(within(10), runOf("conformance.echo", given))).GetResult()
		same(object(result.GetPayload())["input"], any(given), "the payload")
		same(result.GetState(), troupe.TaskState_TASK_STATE_COMPLETED, "the state")
		same(result.GetAttempt(), uint32(1), "the attempt")
		same(result.GetNodeId(), "node-"+strings.TrimPrefix(result.GetAgentId(), "echo-"), "the node of the agent")
	}
}

// all reads a stream of events to its end.
func all(stream grpc.ServerStreamingClient[troupe.RunStreamResponse]) []*troupe.TaskEvent {
	var events []*troupe.TaskEvent
	for {
		response, err := stream.Recv()
		if err == io.EOF {
			return events
		}
		must(err)
		events = append(events, response.GetEvent())
	}
}

func nameOf(event *troupe.TaskEvent) string {
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", event.GetEvent()), "*troupev1.TaskEvent_"))
}

func tasksStream(c *cluster) {
	request := &troupe.RunStreamRequest{Task: taskOf("conformance.count", fields{"count": 5})}
	events := all(got(c.gateway.tasks.RunStream(within(10), request)))
	var names, chunks []string
	for n, event := range events {
		names = append(names, nameOf(event))
		same(event.GetCursor(), uint64(n+1), "a cursor")
		same(event.GetTaskId(), events[0].GetTaskId(), "a task id")
		check(event.GetTime().IsValid(), "an event has no time")
		if chunk := event.GetChunk(); chunk != nil {
			chunks = append(chunks, fmt.Sprint(chunk.GetSequence(), object(chunk.GetPayload())["n"]))
		}
	}
	same(strings.Join(names, " "), "accepted routed progress chunk chunk chunk chunk chunk result", "the events")
	same(chunks, []string{"1 1", "2 2", "3 3", "4 4", "5 5"}, "the chunks")
	same(events[1].GetRouted().GetAgentId()+" on "+events[1].GetRouted().GetNodeId(), "counter-1 on node-1", "the agent")
	same(fmt.Sprint(events[2].GetProgress().GetFraction(), events[2].GetProgress().GetNote()), "0.5half way", "the progress")
	same(object(events[8].GetResult().GetPayload()), fields{"counted": 5.0}, "the result")
}

// cuttable connects in a way that a connection can be lost rather than closed.
type cuttable struct {
	sync.Mutex
	conns []net.Conn
	isCut bool
}

func (c *cuttable) dial(ctx context.Context, address string) (net.Conn, error) {
	c.Lock()
	defer c.Unlock()
	if c.isCut {
		return nil, fmt.Errorf("the line is cut")
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cuttable) cut() {
	c.Lock()
	defer c.Unlock()
	c.isCut = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

func tasksResume(c *cluster) {
	line := &cuttable{}
	far := dial(c.gateway.address, grpc.WithContextDialer(line.dial))
	defer far.conn.Close()
	window := durationpb.New(20 * time.Second)
	request := &troupe.RunStreamRequest{Task: taskOf("conformance.count", fields{"count": 30, "pause_ms": 20}), ResumeWindow: window}
	stream := got(far.tasks.RunStream(within(20), request))
	var seen []*troupe.TaskEvent
	for len(seen) < 8 {
		seen = append(seen, got(stream.Recv()).GetEvent())
	}
	// The connection is lost; a call that is cancelled would call the work off.
	line.cut()
	for {
		if _, err := stream.Recv(); err != nil {
			fails(err, codes.Unavailable, "")
			break
		}
	}
	last := seen[len(seen)-1]
	again := &troupe.StreamResume{TaskId: last.GetTaskId(), NodeId: seen[1].GetRouted().GetNodeId(), AfterCursor: last.GetCursor()}
	// At another process than before. The first may not have noticed yet that its caller is gone.
	eventually(func() {
		resumed := got(c.node.tasks.RunStream(within(20), &troupe.RunStreamRequest{Resume: again, ResumeWindow: window}))
		seen = append(seen[:8:8], all(resumed)...)
	})
	var numbers []any
	for n, event := range seen {
		same(event.GetCursor(), uint64(n+1), "a cursor")
		if chunk := event.GetChunk(); chunk != nil {
			numbers = append(numbers, object(chunk.GetPayload())["n"])
		}
	}
	check(len(numbers) == 30 && numbers[0] == 1.0 && numbers[29] == 30.0, "the chunks: %v", numbers)
	same(object(seen[len(seen)-1].GetResult().GetPayload()), fields{"counted": 30.0}, "the result")
	gone := &troupe.StreamResume{TaskId: "never-was", NodeId: "node-1", AfterCursor: 1}
	none := got(c.gateway.tasks.RunStream(within(10), &troupe.RunStreamRequest{Resume: gone}))
	fails(second(none.Recv()), codes.NotFound, "")
}

func ask(c *cluster, to, question string) *troupe.RequestResponse {
	return got(c.gateway.messaging.Request(within(10), &troupe.RequestRequest{To: to, Payload: text(question)}))
}

func stoppedWith(c *cluster, name string, codes ...string) {
	eventually(func() {
		state := object(ask(c, "sleeper-1", name).GetPayload())
		for _, code := range codes {
			if state["stopped"] == code {
				return
			}
		}
		fail("what the agent tells: %v", state)
	})
}

func deadlineCall(c *cluster) {
	name, begin := fresh("sleep"), time.Now()
	fails(second(c.gateway.tasks.Run(within(0.5), runOf("conformance.sleep", fields{"name": name}))), codes.DeadlineExceeded, "")
	took := time.Since(begin)
	check(took > 400*time.Millisecond && took < 3*time.Second, "it took %v", took)
	// Whichever is first there: the deadline, or that the client has gone at its deadline.
	stoppedWith(c, name, "DEADLINE_EXCEEDED", "CANCELLED")
}

func deadlineTask(c *cluster) {
	name, begin := fresh("sleep"), time.Now()
	request := runOf("conformance.sleep", fields{"name": name})
	request.Task.Deadline = timestamppb.New(begin.Add(500 * time.Millisecond))
	fails(second(c.gateway.tasks.Run(within(20), request)), codes.DeadlineExceeded, "")
	took := time.Since(begin)
	check(took > 300*time.Millisecond && took < 4*time.Second, "it took %v", took)
	stoppedWith(c, name, "DEADLINE_EXCEEDED")
}

func cancelTask(c *cluster) {
	name := fresh("sleep")
	ctx, cancel := context.WithCancel(within(20))
	ended := make(chan error, 1)
	go func() { ended <- second(c.gateway.tasks.Run(ctx, runOf("conformance.sleep", fields{"name": name}))) }()
	eventually(func() {
		same(object(ask(c, "sleeper-1", name).GetPayload()), fields{"begun": true}, "what the agent tells")
	})
	cancel()
	fails(<-ended, codes.Canceled, "")
	stoppedWith(c, name, "CANCELLED")
}

func traceContext(c *cluster) {
	const trace = "0af7651916cd43dd8448eb211c80319c"
	const state, baggage = "shop=a:1,other@t=2", "user=ada;p=1, cart=17"
	ctx := metadata.AppendToOutgoingContext(within(20), "traceparent", "00-"+trace+"-b7ad6b7169203331-01", "tracestate", state, "baggage", baggage)
	for _, each := range []*at{c.gateway, c.node} {
		seen := object(got(each.tasks.Run(ctx, runOf("conformance.echo", nil))).GetResult().GetPayload())["trace"].(map[string]any)
		parts := strings.Split(fmt.Sprint(seen["traceparent"]), "-")
		check(len(parts) == 4 && parts[0] == "00" && parts[1] == trace && len(parts[2]) == 16 && parts[3] == "01", "the trace context %v", seen)
		check(seen["tracestate"] == state && seen["baggage"] == baggage, "what goes beside the trace context: %v", seen)
	}
	answer := got(c.gateway.messaging.Request(ctx, &troupe.RequestRequest{To: "echo-2", Payload: text("trace")}))
	headers := object(answer.GetPayload())["headers"].(map[string]any)
	check(strings.Contains(fmt.Sprint(headers["traceparent"]), trace), "the headers of a message: %v", headers)
	check(headers["tracestate"] == state && headers["baggage"] == baggage, "what goes beside it in a message: %v", headers)
}
