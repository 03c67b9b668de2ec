package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	troupe "troupe.dev/conformance/gen/troupe/v1"
)

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
