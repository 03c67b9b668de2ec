// An agent of one stream: says tasks in capitals, until it is interrupted.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	troupe "troupe.dev/conformance/gen/troupe/v1"
)

type stream = grpc.BidiStreamingClient[troupe.ConnectRequest, troupe.ConnectResponse]

func attach(address, id string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	connected, err := troupe.NewMessagingClient(conn).Connect(context.Background())
	if err != nil {
		return err
	}
	hello := &troupe.Hello{AgentId: id, Capabilities: []string{"shouting"}, Credit: 100}
	if err := connected.Send(&troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Hello{Hello: hello}}); err != nil {
		return err
	}
	for {
		response, err := connected.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = heed(connected, response)
		}
		if err != nil {
			return err
		}
	}
}

func heed(connected stream, response *troupe.ConnectResponse) error {
	switch frame := response.GetFrame().(type) {
	case *troupe.ConnectResponse_Welcome:
		fmt.Println("attached to", frame.Welcome.GetNodeId())
	case *troupe.ConnectResponse_Ping:
		pong := &troupe.Pong{Id: frame.Ping.GetId()}
		return connected.Send(&troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Pong{Pong: pong}})
	case *troupe.ConnectResponse_Batch:
		return answer(connected, frame.Batch)
	case *troupe.ConnectResponse_Drain:
		return connected.CloseSend()
	}
	return nil
}

func answer(connected stream, batch *troupe.Batch) error {
	answers := &troupe.Batch{}
	for _, envelope := range batch.GetEnvelopes() {
		if envelope.GetKind() != troupe.EnvelopeKind_ENVELOPE_KIND_TASK {
			continue
		}
		text := strings.ToUpper(envelope.GetTask().GetPayload().GetText())
		answers.Envelopes = append(answers.Envelopes, &troupe.Envelope{
			Kind:          troupe.EnvelopeKind_ENVELOPE_KIND_RESULT,
			CorrelationId: envelope.GetCorrelationId(),
			Result:        &troupe.TaskResult{Payload: &troupe.Payload{Content: &troupe.Payload_Text{Text: text}}},
		})
	}
	if len(answers.GetEnvelopes()) > 0 {
		if err := connected.Send(&troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Batch{Batch: answers}}); err != nil {
			return err
		}
	}
	credit := &troupe.Credit{Envelopes: uint32(len(batch.GetEnvelopes())), Received: batch.GetSequence()}
	return connected.Send(&troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Credit{Credit: credit}})
}

func main() {
	if err := attach(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
