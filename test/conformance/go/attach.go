package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	troupe "troupe.dev/conformance/gen/troupe/v1"
)

// attach makes an agent with a capability of its own, which everybody can reach.
func attach(c *cluster, hello *troupe.Hello) (*program, string) {
	hello.AgentId = fresh("agent")
	hello.Capabilities = []string{"can." + hello.AgentId}
	hello.Concurrency = 100
	p := connect(c.gateway)
	p.hello(hello)
	waitFor(c, hello.AgentId)
	return p, hello.AgentId
}

// waitFor returns when the processes that the cases ask know an agent.
func waitFor(c *cluster, name string) {
	for _, there := range []*at{c.gateway, c.node} {
		eventually(func() { must(note(there, name, "are you there?", map[string]string{"probe": "yes"})) })
	}
}

func note(there *at, to, what string, headers map[string]string) error {
	return second(there.messaging.Send(within(10), &troupe.SendRequest{To: to, Payload: text(what), Headers: headers}))
}

func about(kind troupe.EnvelopeKind, id uint64) *troupe.Envelope {
	return &troupe.Envelope{Kind: kind, CorrelationId: id}
}

func correlated(id uint64) func(*troupe.Envelope) bool {
	return func(each *troupe.Envelope) bool { return each.GetCorrelationId() == id }
}

func acknowledge(p *program, message *troupe.Envelope) {
	p.batch(about(kindAck, message.GetCorrelationId()))
}

func getAgent(c *cluster, name string) (*troupe.Instance, error) {
	key := &troupe.InstanceKey{Service: "agent", Id: name}
	response, err := c.gateway.registry.GetInstance(within(10), &troupe.GetInstanceRequest{Key: key})
	return response.GetInstance(), err
}

func attachHello(c *cluster) {
	name := fresh("agent")
	p := connect(c.gateway)
	defer p.breaks()
	welcome := p.hello(&troupe.Hello{
		AgentId: name, Capabilities: []string{"can." + name}, Weight: 7, Metadata: map[string]string{"language": "go"},
	})
	check(welcome.GetId() == name && welcome.GetGrace().GetSeconds() == 10 && welcome.GetResumeToken() != "", "the welcome %v", welcome)
	check(welcome.GetCredit() > 0 && strings.HasPrefix(welcome.GetNodeId(), "node-"), "the welcome %v", welcome)
	listed := got(getAgent(c, name))
	same(listed.GetNodeId(), welcome.GetNodeId(), "the node")
	same(listed.GetCapabilities(), []string{"can." + name}, "the capabilities")
	check(listed.GetWeight() == 7 && listed.GetMetadata()["language"] == "go", "the instance %v", listed)

	other := connect(c.gateway)
	defer other.breaks()
	other.sendHello(&troupe.Hello{AgentId: name})
	other.ends(codes.AlreadyExists, "AGENT_EXISTS")
	replica := connect(c.gateway)
	defer replica.breaks()
	id := replica.hello(&troupe.Hello{AgentId: name, Replica: true}).GetId()
	check(strings.HasPrefix(id, name+"-"), "the id of a replica: %s", id)
	anonymous := connect(c.node)
	defer anonymous.breaks()
	check(anonymous.hello(&troupe.Hello{}).GetId() != "", "a client without an id")
}

func attachTask(c *cluster) {
	p, name := attach(c, &troupe.Hello{})
	defer p.breaks()
	task := taskOf("can."+name, fields{"n": 1.0})
	task.Id, task.Labels = fresh("task"), map[string]string{"k": "v"}
	stream := got(c.gateway.tasks.RunStream(within(20), &troupe.RunStreamRequest{Task: task}))
	came := p.envelope(kindTask, nil)
	check(came.GetCorrelationId() > 0 && came.GetAttempt() == 1 && came.GetStreaming(), "the task %v", came)
	check(came.GetTask().GetId() == task.Id && came.GetTask().GetLabels()["k"] == "v", "the task %v", came)
	same(object(came.GetTask().GetPayload()), fields{"n": 1.0}, "its payload")
	check(came.GetDeadline() != nil || came.GetTask().GetDeadline() != nil, "no deadline")

	progress := about(kindProgress, came.GetCorrelationId())
	progress.Progress = &troupe.TaskProgress{Fraction: 0.25, Note: "begun"}
	p.batch(progress)
	for n := range uint64(2) {
		chunk := about(kindChunk, came.GetCorrelationId())
		chunk.Sequence, chunk.Payload = n+1, text(fmt.Sprint("part ", n+1))
		p.batch(chunk)
	}
	done := about(kindResult, came.GetCorrelationId())
	done.Result = &troupe.TaskResult{Payload: text("done")}
	p.batch(done)

	var seen []string
	events := all(stream)
	for _, event := range events {
		seen = append(seen, nameOf(event)+event.GetChunk().GetPayload().GetText()+event.GetProgress().GetNote())
	}
	same(strings.Join(seen, ", "), "accepted, routed, progressbegun, chunkpart 1, chunkpart 2, result", "the events")
	result := events[5].GetResult()
	check(result.GetAgentId() == name && result.GetPayload().GetText() == "done", "the result %v", result)
	same(result.GetState(), troupe.TaskState_TASK_STATE_COMPLETED, "the state")
}

// asking calls Request in the background.
func asking(there *at, to, question string) chan error {
	ended := make(chan error, 1)
	go func() {
		request := &troupe.RequestRequest{To: to, Payload: text(question), Headers: map[string]string{"colour": "blue"}}
		answer, err := there.messaging.Request(within(10), request)
		if err == nil {
			err = fmt.Errorf("%s: %s", answer.GetFrom(), answer.GetPayload().GetText())
		}
		ended <- err
	}()
	return ended
}

func attachRequest(c *cluster) {
	p, name := attach(c, &troupe.Hello{})
	defer p.breaks()
	ended := asking(c.node, name, "how many?")
	first := p.envelope(kindRequest, nil)
	check(first.GetPayload().GetText() == "how many?" && first.GetHeaders()["colour"] == "blue", "the request %v", first)
	check(first.GetFrom() != "" && first.GetCorrelationId() > 0 && !first.GetStreaming(), "the request %v", first)
	answer := about(kindResponse, first.GetCorrelationId())
	answer.Payload = text("three")
	p.batch(answer)
	same((<-ended).Error(), name+": three", "the answer")

	ended = asking(c.node, name, "how many?")
	other := p.envelope(kindRequest, func(each *troupe.Envelope) bool { return each.GetCorrelationId() != first.GetCorrelationId() })
	info := &errdetails.ErrorInfo{Reason: "NO_MODEL", Domain: "troupe.dev", Metadata: map[string]string{"model": "m-1"}}
	problem := about(kindError, other.GetCorrelationId())
	problem.Error = got(status.New(codes.FailedPrecondition, "train it first").WithDetails(info)).Proto()
	p.batch(problem)
	found := fails(<-ended, codes.FailedPrecondition, "NO_MODEL")
	check(found.message == "train it first" && found.info.GetMetadata()["model"] == "m-1", "the agent's error: %v", found)
}

func attachMessage(c *cluster) {
	topic := fresh("topic")
	p, name := attach(c, &troupe.Hello{Topics: []string{topic + ".*"}})
	defer p.breaks()
	must(second(c.node.messaging.Send(within(10), &troupe.SendRequest{To: name, Payload: text("a note"), Id: "n-1"})))
	came := p.envelope(kindSend, func(each *troupe.Envelope) bool { return each.GetId() == "n-1" })
	check(came.GetPayload().GetText() == "a note" && came.GetTo() == name && came.GetTopic() == "", "the message %v", came)
	acknowledge(p, came)
	eventually(func() { broadcast(c.node, topic+".news", "news", map[string]bool{name: true}) })
	news := p.envelope(kindSend, func(each *troupe.Envelope) bool { return each.GetTopic() == topic+".news" })
	same(news.GetPayload().GetText(), "news", "the broadcast")
	if news.GetCorrelationId() != 0 {
		acknowledge(p, news)
	}
	out := about(kindSend, 7)
	out.To, out.Payload = "echo-1", text(topic)
	p.batch(out)
	check(p.envelope(kindAck, correlated(7)).GetError() == nil, "the message was refused")
	messages := kept(c, "echo-1", topic)
	check(len(messages) == 1 && messages[0]["from"] == name, "what the agent has: %v", messages)
	lost := about(kindSend, 8)
	lost.To, lost.Payload = "nobody-at-all", text(topic)
	p.batch(lost)
	same(p.envelope(kindAck, correlated(8)).GetError().GetCode(), int32(codes.NotFound), "the code of what cannot be delivered")
}

func attachDemand(c *cluster) {
	p, _ := attach(c, &troupe.Hello{})
	defer p.breaks()
	question := about(kindRequest, 1)
	question.To, question.Payload, question.Streaming, question.Demand = "counter-1", text("parts 6"), true, 2
	p.batch(question)
	p.until("two parts", func() bool { return len(p.came(kindChunk)) >= 2 })
	p.pong(1)
	same(len(p.envelopes(kindChunk)), 2, "the parts that come at first")
	more := about(kindDemand, 1)
	more.Demand = 10
	p.batch(more)
	last := p.envelope(kindResponse, nil)
	var parts []string
	for _, each := range p.envelopes(kindChunk) {
		parts = append(parts, fmt.Sprint(each.GetSequence(), "=", each.GetPayload().GetText()))
	}
	same(strings.Join(parts, " "), "1=1 2=2 3=3 4=4 5=5 6=6", "the parts")
	same(object(last.GetPayload()), fields{"parts": 6.0}, "the answer")
}

func attachCancel(c *cluster) {
	p, name := attach(c, &troupe.Hello{})
	defer p.breaks()
	ctx, cancel := context.WithCancel(within(20))
	ended := make(chan error, 1)
	go func() { ended <- second(c.gateway.tasks.Run(ctx, runOf("can."+name, nil))) }()
	came := p.envelope(kindTask, nil)
	cancel()
	fails(<-ended, codes.Canceled, "")
	p.envelope(kindCancel, correlated(came.GetCorrelationId()))
	_, err := c.node.messaging.Request(within(0.5), &troupe.RequestRequest{To: name, Payload: text("slow")})
	fails(err, codes.DeadlineExceeded, "")
	p.envelope(kindCancel, correlated(p.envelope(kindRequest, nil).GetCorrelationId()))
}
