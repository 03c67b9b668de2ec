package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
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

func attachCredit(c *cluster) {
	// Two are used by what waits until the agent is known.
	p, name := attach(c, &troupe.Hello{Credit: 4})
	defer p.breaks()
	for n := range 6 {
		must(note(c.gateway, name, fmt.Sprint(n), nil))
	}
	p.until("four envelopes", func() bool { return len(p.came(0)) >= 4 })
	p.pong(1)
	same(len(p.envelopes(0)), 4, "the envelopes that come for a credit of 4")
	for _, each := range p.envelopes(kindSend) {
		acknowledge(p, each)
	}
	credit := &troupe.Credit{Envelopes: 10, Received: p.received()}
	p.send(&troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Credit{Credit: credit}})
	eventually(func() { same(p.notes(), []string{"0", "1", "2", "3", "4", "5"}, "the messages") })
}

func attachPing(c *cluster) {
	p, _ := attach(c, &troupe.Hello{})
	defer p.breaks()
	for _, id := range []uint64{1, 1<<53 - 1, 1<<64 - 1} {
		p.pong(id)
	}
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

func attachResume(c *cluster) {
	name := fresh("agent")
	first := connect(c.gateway)
	welcome := first.hello(&troupe.Hello{AgentId: name, Concurrency: 1000, Grace: durationpb.New(20 * time.Second)})
	waitFor(c, name)
	sent := 0
	sendTen := func() {
		for range 10 {
			must(note(c.gateway, name, fmt.Sprint(sent), nil))
			sent++
		}
	}
	question := func(p *program, n uint64) {
		asked := about(kindRequest, n)
		asked.To, asked.Payload = "echo-1", text(fmt.Sprint("q", n))
		p.numbered(n, asked)
	}
	sendTen()
	eventually(func() { check(len(first.notes()) >= 5, "five messages") })
	for n := range uint64(5) {
		question(first, n+1)
	}
	first.breaks()
	first.ends(codes.Canceled, "")
	sendTen()

	again := connect(c.gateway)
	defer again.breaks()
	resumed := again.hello(&troupe.Hello{ResumeToken: welcome.GetResumeToken(), Received: first.received()})
	check(resumed.GetId() == name && resumed.GetNodeId() == welcome.GetNodeId() && resumed.GetReceived() <= 5, "the session %v", resumed)
	for n := resumed.GetReceived() + 1; n <= 10; n++ {
		question(again, n)
	}
	sendTen()
	var wanted []string
	for n := range sent {
		wanted = append(wanted, fmt.Sprint(n))
	}
	answers := func() (ids []uint64) {
		for _, each := range append(first.envelopes(kindResponse), again.envelopes(kindResponse)...) {
			ids = append(ids, each.GetCorrelationId())
		}
		slices.Sort(ids)
		return ids
	}
	eventually(func() { check(len(first.notes())+len(again.notes()) >= sent && len(answers()) >= 10, "not all came") })
	again.pong(1)
	same(append(first.notes(), again.notes()...), wanted, "the messages")
	same(answers(), []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, "the answers")
}

func attachDrain(c *cluster) {
	p, name := attach(c, &troupe.Hello{})
	defer p.breaks()
	ended := asking(c.gateway, name, "last question")
	came := p.envelope(kindRequest, nil)
	p.send(&troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Drain{Drain: &troupe.Drain{}}})
	p.pong(1)
	// Whoever asks before all know that it leaves is refused by its node.
	eventually(func() {
		fails(second(c.gateway.tasks.Run(within(3), runOf("can."+name, nil))), codes.NotFound, "NO_AGENT")
	})
	check(len(p.envelopes(kindRequest)) == 1 && len(p.envelopes(kindTask)) == 0, "something came after the pong")
	answer := about(kindResponse, came.GetCorrelationId())
	answer.Payload = text("last answer")
	p.batch(answer)
	for _, each := range p.envelopes(kindSend) {
		acknowledge(p, each)
	}
	same((<-ended).Error(), name+": last answer", "the answer")
	p.halfClose()
	p.ends(codes.OK, "")
	eventually(func() { fails(second(getAgent(c, name)), codes.NotFound, "") })
}

func attachClient(c *cluster) {
	p := connect(c.gateway)
	defer p.breaks()
	own := p.hello(&troupe.Hello{}).GetId()
	var tasks []*troupe.Envelope
	for n := range uint64(50) {
		task := about(kindTask, n+1)
		task.Task = taskOf("conformance.echo", float64(n+1))
		tasks = append(tasks, task)
	}
	p.batch(tasks...)
	p.until("fifty results", func() bool { return len(p.came(kindResult)) == 50 })
	numbers, agents := map[uint64]bool{}, map[string]bool{}
	for _, each := range p.envelopes(kindResult) {
		same(object(each.GetResult().GetPayload())["input"], float64(each.GetCorrelationId()), "a result")
		numbers[each.GetCorrelationId()], agents[each.GetResult().GetAgentId()] = true, true
	}
	check(len(numbers) == 50 && maps.Equal(agents, map[string]bool{"echo-1": true, "echo-2": true}), "%d results by %v", len(numbers), agents)

	question := about(kindRequest, 51)
	question.To, question.Payload = "echo-2", text("who am I?")
	p.batch(question)
	answer := p.envelope(kindResponse, nil)
	same([]any{answer.GetFrom(), object(answer.GetPayload())["from"]}, []any{"echo-2", own}, "the answer")
	news := about(kindSend, 52)
	news.Topic, news.Payload = "conformance.all", text("news")
	p.batch(news)
	receipts := p.envelope(kindAck, correlated(52)).GetReceipts()
	same(slices.Sorted(slices.Values(receipts.GetDelivered())), []string{"echo-1", "echo-2"}, "the receipts")
	check(len(receipts.GetRefused()) == 0, "refused: %v", receipts.GetRefused())
	streamed := about(kindTask, 53)
	streamed.Task, streamed.Streaming = taskOf("conformance.count", fields{"count": 3}), true
	p.batch(streamed)
	p.envelope(kindResult, correlated(53))
	var kinds []troupe.EnvelopeKind
	for _, each := range p.envelopes(0) {
		if each.GetCorrelationId() == 53 {
			kinds = append(kinds, each.GetKind())
		}
	}
	same(kinds, []troupe.EnvelopeKind{kindProgress, kindChunk, kindChunk, kindChunk, kindResult}, "a streamed task")
	nobody := about(kindTask, 54)
	nobody.Task = taskOf("juggling", nil)
	p.batch(nobody)
	same(p.envelope(kindError, nil).GetError().GetCode(), int32(codes.NotFound), "the code of a task for nobody")
	p.halfClose()
	p.ends(codes.OK, "")
}

func attachSubscriptions(c *cluster) {
	topic := fresh("topic")
	p := connect(c.gateway)
	defer p.breaks()
	own := p.hello(&troupe.Hello{Topics: []string{topic + ".a"}}).GetId()
	eventually(func() { broadcast(c.node, topic+".a", "1", map[string]bool{own: true}) })
	change := &troupe.SubscriptionChange{Subscribe: []string{topic + ".b"}, Unsubscribe: []string{topic + ".a"}}
	p.send(&troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Subscriptions{Subscriptions: change}})
	changed := p.frame(func(frame *troupe.ConnectResponse) bool { return frame.GetSubscriptions() != nil }, "subscriptions")
	same(changed.GetSubscriptions().GetTopics(), []string{topic + ".b"}, "the topics")
	eventually(func() { broadcast(c.node, topic+".b", "2", map[string]bool{own: true}) })
	eventually(func() { broadcast(c.node, topic+".a", "3", map[string]bool{}) })
	p.envelope(kindSend, func(each *troupe.Envelope) bool {
		return each.GetPayload().GetText() == "2" && each.GetCorrelationId() == 0
	})
}

func attachRefused(c *cluster) {
	refused := func(hello *troupe.Hello, frame *troupe.ConnectRequest, code codes.Code, reason string) {
		p := connect(c.gateway)
		defer p.breaks()
		if hello != nil {
			p.hello(hello)
		}
		p.send(frame)
		found := p.ends(code, reason)
		check(reason != "INVALID_FIELD" || found.bad != nil, "no BadRequest in %v", found)
	}
	hello := func(hello *troupe.Hello) *troupe.ConnectRequest {
		return &troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Hello{Hello: hello}}
	}
	batch := func(envelope *troupe.Envelope) *troupe.ConnectRequest {
		return &troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Batch{Batch: &troupe.Batch{Envelopes: []*troupe.Envelope{envelope}}}}
	}
	message := about(kindSend, 1)
	message.To, message.Payload = "echo-1", text("x")
	forged := about(kindSend, 1)
	forged.To, forged.Payload, forged.From = "echo-1", text("x"), "somebody-else"
	credit := &troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Credit{Credit: &troupe.Credit{Envelopes: 2_000_000}}}
	refused(nil, batch(message), codes.FailedPrecondition, "NO_HELLO")
	refused(&troupe.Hello{}, hello(&troupe.Hello{}), codes.FailedPrecondition, "HELLO_TWICE")
	refused(nil, hello(&troupe.Hello{ResumeToken: "never-given"}), codes.NotFound, "UNKNOWN_SESSION")
	refused(nil, hello(&troupe.Hello{AgentId: "Not An Id"}), codes.InvalidArgument, "INVALID_FIELD")
	refused(&troupe.Hello{}, batch(about(kindResponse, 99)), codes.InvalidArgument, "UNKNOWN_CORRELATION_ID")
	refused(&troupe.Hello{}, batch(forged), codes.InvalidArgument, "FORGED_SENDER")
	refused(&troupe.Hello{}, credit, codes.InvalidArgument, "WRONG_CREDIT")
}
