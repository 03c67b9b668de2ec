// Runs a task, and tells what an error says.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	troupe "troupe.dev/conformance/gen/troupe/v1"
)

func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is {
			return info.GetReason()
		}
	}
	return ""
}

func run(address, capability, text string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	payload := &troupe.Payload{Content: &troupe.Payload_Text{Text: text}}
	task := &troupe.Task{RequiredCapabilities: []string{capability}, Payload: payload}
	response, err := troupe.NewTasksClient(conn).Run(ctx, &troupe.RunRequest{Task: task})
	if err != nil {
		return fmt.Errorf("%s: %w", reasonOf(err), err)
	}
	fmt.Println(response.GetResult().GetAgentId(), response.GetResult().GetPayload().GetText())
	return nil
}

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
