package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	troupe "troupe.dev/conformance/gen/troupe/v1"
)

// subscribe gives a stream on which the subscription is known, and its id.
func subscribe(ctx context.Context, there *at, topics ...string) (grpc.ServerStreamingClient[troupe.SubscribeResponse], string) {
	stream := got(there.messaging.Subscribe(ctx, &troupe.SubscribeRequest{Topics: topics}))
	first := got(stream.Recv())
	check(first.GetSubscribed() != nil, "the first response is not `subscribed`")
	return stream, first.GetSubscribed().GetId()
}

func broadcast(there *at, topic, news string, wanted map[string]bool) {
	request := &troupe.BroadcastRequest{Topic: topic, Payload: text(news), Headers: map[string]string{"source": "test"}}
	answer := got(there.messaging.Broadcast(within(10), request))
	check(maps.Equal(answer.GetDelivered(), wanted), "the receipts of %s: got %v, not %v", topic, answer.GetDelivered(), wanted)
	check(len(answer.GetSilentNodes()) == 0, "silent nodes: %v", answer.GetSilentNodes())
}

// kept gives what an agent was sent with a text.
func kept(c *cluster, agent, note string) []fields {
	var found []fields
	list, _ := ask(c, agent, "list").GetPayload().GetJson().AsInterface().([]any)
	for _, each := range list {
		if message := each.(fields); message["text"] == note {
			found = append(found, message)
		}
	}
	return found
}

func messagesSend(c *cluster) {
	note := fresh("note")
	send := func(there *at, to string) error {
		request := &troupe.SendRequest{To: to, Payload: text(note), Headers: map[string]string{"ticket": "42"}}
		return second(there.messaging.Send(within(10), request))
	}
	must(send(c.gateway, "echo-1"))
	must(send(c.node, "echo-1"))
	messages := kept(c, "echo-1", note)
	same(len(messages), 2, "the number of messages")
	for _, each := range messages {
		check(each["headers"].(fields)["ticket"] == "42" && each["topic"] == "" && each["from"] != "", "the message %v", each)
	}
	fails(send(c.gateway, "nobody-at-all"), codes.NotFound, "UNKNOWN_AGENT")
	fails(send(c.gateway, "failing-1"), codes.FailedPrecondition, "NO_RECEIVE")
}

func messagesRequest(c *cluster) {
	for _, agent := range []string{"echo-1", "echo-2"} {
		request := &troupe.RequestRequest{To: agent, Payload: text("Grüße"), Headers: map[string]string{"colour": "blue"}}
		answer := got(c.gateway.messaging.Request(within(10), request))
		same(answer.GetFrom(), agent, "who answered")
		seen := object(answer.GetPayload())
		check(seen["text"] == "Grüße" && seen["headers"].(fields)["colour"] == "blue" && seen["topic"] == "", "what the agent saw: %v", seen)
	}
}

func messagesBroadcast(c *cluster) {
	ctx, cancel := context.WithCancel(within(20))
	defer cancel()
	stream, listener := subscribe(ctx, c.node, "conformance.*")
	news := fresh("news")
	eventually(func() {
		broadcast(c.gateway, "conformance.all", news, map[string]bool{"echo-1": true, "echo-2": true, listener: true})
	})
	message := got(stream.Recv()).GetMessage()
	same([]string{message.GetTopic(), message.GetPayload().GetText(), message.GetHeaders()["source"]}, []string{"conformance.all", news, "test"}, "the message")
	for _, agent := range []string{"echo-1", "echo-2"} {
		messages := kept(c, agent, news)
		check(len(messages) > 0 && messages[0]["topic"] == "conformance.all", "%s has %v", agent, messages)
	}
	broadcast(c.gateway, "nobody."+news, news, map[string]bool{})
	wrong := &troupe.BroadcastRequest{Topic: "conformance.*", Payload: text(news)}
	fails(second(c.gateway.messaging.Broadcast(within(10), wrong)), codes.InvalidArgument, "INVALID_FIELD")
}

func messagesSubscribe(c *cluster) {
	base := fresh("topic")
	ctx, cancel := context.WithCancel(within(20))
	defer cancel()
	stream, listener := subscribe(ctx, c.gateway, base+".*.eu", base+".all.>")
	for _, each := range []struct {
		topic    string
		isWanted bool
	}{{".orders.eu", true}, {".orders.us", false}, {".all", false}, {".all.a.b", true}} {
		wanted := map[string]bool{}
		if each.isWanted {
			wanted[listener] = true
		}
		eventually(func() { broadcast(c.gateway, base+each.topic, "x", wanted) })
	}
	same(got(stream.Recv()).GetMessage().GetTopic(), base+".orders.eu", "the first topic")
	same(got(stream.Recv()).GetMessage().GetTopic(), base+".all.a.b", "the second topic")
	cancel()
	eventually(func() {
		topics := got(c.gateway.messaging.ListTopics(within(10), &troupe.ListTopicsRequest{PageSize: 1000})).GetTopics()
		isOurs := func(each *troupe.TopicInterest) bool { return strings.HasPrefix(each.GetPattern(), base) }
		check(!slices.ContainsFunc(topics, isOurs), "the subscription is still known")
	})
	none := got(c.gateway.messaging.Subscribe(within(10), &troupe.SubscribeRequest{}))
	fails(second(none.Recv()), codes.InvalidArgument, "INVALID_FIELD")
}
