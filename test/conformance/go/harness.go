package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	troupe "troupe.dev/conformance/gen/troupe/v1"
)

// at has the stubs of one process.
type at struct {
	address   string
	conn      *grpc.ClientConn
	tasks     troupe.TasksClient
	registry  troupe.RegistryClient
	messaging troupe.MessagingClient
}

func dial(address string, options ...grpc.DialOption) *at {
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	must(err)
	return &at{address, conn, troupe.NewTasksClient(conn), troupe.NewRegistryClient(conn), troupe.NewMessagingClient(conn)}
}

type cluster struct {
	gateway *at
	// A node other than the one that hosts most agents.
	node *at
}

// fresh is a name that nobody else has.
func fresh(what string) string {
	random := make([]byte, 4)
	_, err := rand.Read(random)
	must(err)
	return what + "-go-" + hex.EncodeToString(random)
}

// failed ends a case: what is wrong.
type failed string

func fail(format string, args ...any) {
	panic(failed(fmt.Sprintf(format, args...)))
}

func check(condition bool, format string, args ...any) {
	if !condition {
		fail(format, args...)
	}
}

func must(err error) {
	if err != nil {
		panic(failed(fmt.Sprintf("%v %v", err, faultOf(err))))
	}
}

func got[T any](value T, err error) T {
	must(err)
	return value
}

func same(got, wanted any, what string) {
	check(reflect.DeepEqual(got, wanted), "%s: got %v, not %v", what, got, wanted)
}

// attempt gives what is wrong, or nothing.
func attempt(work func()) (wrong string) {
	defer func() {
		if problem := recover(); problem != nil {
			why, is := problem.(failed)
			if !is {
				panic(problem)
			}
			wrong = string(why)
		}
	}()
	work()
	return ""
}

func eventually(work func()) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		wrong := attempt(work)
		if wrong == "" {
			return
		}
		check(time.Now().Before(end), "%s", wrong)
	}
}

// within gives a context for a call; it ends when the process does.
func within(seconds float64) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds*float64(time.Second)))
	context.AfterFunc(ctx, cancel)
	return ctx
}

func text(value string) *troupe.Payload {
	return &troupe.Payload{Content: &troupe.Payload_Text{Text: value}}
}

func jsonOf(value any) *troupe.Payload {
	return &troupe.Payload{Content: &troupe.Payload_Json{Json: got(structpb.NewValue(value))}}
}

// object is the JSON object that a payload holds.
func object(payload *troupe.Payload) map[string]any {
	value, is := payload.GetJson().AsInterface().(map[string]any)
	check(is, "no JSON object but %v", payload)
	return value
}

type fields = map[string]any

func taskOf(capability string, value any) *troupe.Task {
	return &troupe.Task{RequiredCapabilities: []string{capability}, Payload: jsonOf(value)}
}

func runOf(capability string, value any) *troupe.RunRequest {
	return &troupe.RunRequest{Task: taskOf(capability, value)}
}

// fault is an error of gRPC with its details, by the types of googleapis.
type fault struct {
	code    codes.Code
	message string
	info    *errdetails.ErrorInfo
	bad     *errdetails.BadRequest
	retry   *errdetails.RetryInfo
}

func (f fault) String() string {
	return fmt.Sprintf("%v %v %q bad=%v retry=%v", f.code, f.info, f.message, f.bad, f.retry)
}

func faultOf(err error) fault {
	shown := status.Convert(err)
	found := fault{code: shown.Code(), message: shown.Message(), info: &errdetails.ErrorInfo{}}
	for _, detail := range shown.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			found.info = detail
		case *errdetails.BadRequest:
			found.bad = detail
		case *errdetails.RetryInfo:
			found.retry = detail
		}
	}
	return found
}

// fails checks how a call has ended; an empty reason is any.
func fails(err error, code codes.Code, reason string) fault {
	check(err != nil && !errors.Is(err, io.EOF), "no %v", code)
	found := faultOf(err)
	check(found.code == code, "%v, not %v", found, code)
	if reason != "" {
		check(found.info.Reason == reason && found.info.Domain == "troupe.dev", "%v, not %v", found, reason)
	}
	return found
}

func second[A any](_ A, err error) error {
	return err
}
