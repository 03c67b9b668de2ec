package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"
	troupe "troupe.dev/conformance/gen/troupe/v1"
)

const maxPayload = 4*1024*1024 - 64*1024

func errorsFields(c *cluster) {
	task := &troupe.Task{Id: "a/b", RequiredCapabilities: []string{"Not A Name"}, Labels: map[string]string{"k": strings.Repeat("x", 2000)}}
	found := fails(second(c.gateway.tasks.Run(within(10), &troupe.RunRequest{Task: task})), codes.InvalidArgument, "INVALID_FIELD")
	check(found.bad != nil, "no BadRequest in %v", found)
	var named []string
	for _, violation := range found.bad.GetFieldViolations() {
		named = append(named, violation.GetField())
		check(violation.GetDescription() != "", "a violation without a description: %v", found)
	}
	isLabel := func(field string) bool { return strings.Contains(field, "labels") }
	isThere := slices.Contains(named, "task.id") && slices.Contains(named, "task.required_capabilities[0]")
	check(isThere && slices.ContainsFunc(named, isLabel), "the fields %v", named)
}

func errorsInfo(c *cluster) {
	found := fails(second(c.gateway.tasks.Run(within(10), runOf("juggling", nil))), codes.NotFound, "NO_AGENT")
	check(maps.Equal(found.info.GetMetadata(), map[string]string{"required_capabilities": "juggling"}), "the metadata of %v", found)
}

func errorsRetry(c *cluster) {
	request := runOf("conformance.narrow", fields{"ms": 5_000})
	once := uint32(1)
	request.Task.Retry = &troupe.RetryPolicy{MaxAttempts: &once}
	ctx, cancel := context.WithCancel(within(10))
	defer cancel()
	// One is worked on, one waits, and one is refused at once.
	ended := make(chan error, 3)
	for range 3 {
		go func() { ended <- second(c.gateway.tasks.Run(ctx, request)) }()
	}
	found := fails(<-ended, codes.ResourceExhausted, "")
	check(found.retry.GetRetryDelay().AsDuration() > 0, "no RetryInfo in %v", found)
}

func errorsAgent(c *cluster) {
	found := fails(second(c.gateway.tasks.Run(within(10), runOf("conformance.fail", nil))), codes.FailedPrecondition, "NO_MODEL")
	check(found.message == "train it first" && found.info.GetMetadata()["model"] == "m-1", "the agent's error: %v", found)
}

func inputLimit(c *cluster) {
	send := func(size int) (*troupe.RequestResponse, error) {
		// The tag of `data` and its length take five bytes.
		payload := &troupe.Payload{Content: &troupe.Payload_Data{Data: make([]byte, size-5)}}
		same(proto.Size(payload), size, "the size of the payload")
		return c.gateway.messaging.Request(within(20), &troupe.RequestRequest{To: "echo-2", Payload: payload})
	}
	same(object(got(send(maxPayload)).GetPayload()), fields{"bytes": float64(maxPayload - 5)}, "what the agent got")
	found := fails(second(send(maxPayload+1)), codes.InvalidArgument, "INVALID_FIELD")
	check(strings.Contains(found.message, "payload"), "the message of %v", found)
	fails(second(send(4*1024*1024+1)), codes.ResourceExhausted, "")
}

func inputMethod(c *cluster) {
	for _, method := range []string{"/troupe.v1.Tasks/Juggle", "/troupe.v1.Circus/Run"} {
		fails(c.gateway.conn.Invoke(within(10), method, &emptypb.Empty{}, &emptypb.Empty{}), codes.Unimplemented, "")
	}
}

// raw sends bytes as they are.
type raw struct{}

func (raw) Name() string                      { return "proto" }
func (raw) Marshal(value any) ([]byte, error) { return value.([]byte), nil }
func (raw) Unmarshal(bytes []byte, value any) error {
	return proto.Unmarshal(bytes, value.(proto.Message))
}

func inputMalformed(c *cluster) {
	err := c.gateway.conn.Invoke(within(10), "/troupe.v1.Tasks/Run", []byte{0x0a, 0xff}, &troupe.RunResponse{}, grpc.ForceCodec(raw{}))
	fails(err, codes.InvalidArgument, "MALFORMED_MESSAGE")
}

func inputUnknown(c *cluster) {
	request := runOf("conformance.echo", "hello")
	// Field 1000, a varint; and field 1001, of bytes.
	request.ProtoReflect().SetUnknown([]byte{0xc0, 0x3e, 0x07, 0xca, 0x3e, 0x02, 0x68, 0x69})
	same(object(got(c.gateway.tasks.Run(within(10), request)).GetResult().GetPayload())["input"], any("hello"), "the payload")
}

func healthCheck(c *cluster) {
	for there, services := range map[*at][]string{
		c.gateway: {"", "troupe.v1.Tasks", "troupe.v1.Registry", "troupe.v1.Node", "troupe.v1.Messaging"},
		c.node:    {"", "troupe.v1.Tasks", "troupe.v1.Node", "troupe.v1.Messaging"},
	} {
		client := grpc_health_v1.NewHealthClient(there.conn)
		for _, service := range services {
			answer := got(client.Check(within(10), &grpc_health_v1.HealthCheckRequest{Service: service}))
			same(answer.GetStatus(), grpc_health_v1.HealthCheckResponse_SERVING, "the health of "+service)
		}
		_, err := client.Check(within(10), &grpc_health_v1.HealthCheckRequest{Service: "nothing.here"})
		fails(err, codes.NotFound, "")
		ctx, cancel := context.WithCancel(within(10))
		watch := got(client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{}))
		same(got(watch.Recv()).GetStatus(), grpc_health_v1.HealthCheckResponse_SERVING, "the first word of Watch")
		cancel()
	}
}

func reflectionList(c *cluster) {
	wanted := []string{"troupe.v1.Tasks", "troupe.v1.Registry", "troupe.v1.Node", "troupe.v1.Messaging", "grpc.health.v1.Health"}
	for _, version := range []string{"v1", "v1alpha"} {
		// The two differ in nothing but their name.
		path := "/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo"
		description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
		stream := got(c.gateway.conn.NewStream(within(10), description, path))
		ask := func(request *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
			must(stream.SendMsg(request))
			response := &reflectionv1.ServerReflectionResponse{}
			must(stream.RecvMsg(response))
			return response
		}
		var listed []string
		every := &reflectionv1.ServerReflectionRequest_ListServices{ListServices: "*"}
		for _, service := range ask(&reflectionv1.ServerReflectionRequest{MessageRequest: every}).GetListServicesResponse().GetService() {
			listed = append(listed, service.GetName())
		}
		for _, each := range wanted {
			check(slices.Contains(listed, each), "the services %v", listed)
		}
		symbol := &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "troupe.v1.Tasks"}
		set := &descriptorpb.FileDescriptorSet{}
		for _, bytes := range ask(&reflectionv1.ServerReflectionRequest{MessageRequest: symbol}).GetFileDescriptorResponse().GetFileDescriptorProto() {
			file := &descriptorpb.FileDescriptorProto{}
			must(proto.Unmarshal(bytes, file))
			set.File = append(set.File, file)
		}
		must(stream.CloseSend())
		runByDescriptors(c, set)
	}
}

// runByDescriptors runs a task by what reflection told, and nothing else.
func runByDescriptors(c *cluster, set *descriptorpb.FileDescriptorSet) {
	files := got(protodesc.NewFiles(set))
	run := got(files.FindDescriptorByName("troupe.v1.Tasks.Run")).(protoreflect.MethodDescriptor)
	request := dynamicpb.NewMessage(run.Input())
	// As a program without types does: the bytes of a message that it knows, read by what it was told.
	must(proto.Unmarshal(got(proto.Marshal(runOf("conformance.echo", "by reflection"))), request))
	check(len(request.ProtoReflect().GetUnknown()) == 0, "the descriptors do not know every field")
	response := dynamicpb.NewMessage(run.Output())
	must(c.gateway.conn.Invoke(within(10), "/troupe.v1.Tasks/Run", request, response))
	known := &troupe.RunResponse{}
	must(proto.Unmarshal(got(proto.Marshal(response)), known))
	same(object(known.GetResult().GetPayload())["input"], any("by reflection"), "the payload")
}
