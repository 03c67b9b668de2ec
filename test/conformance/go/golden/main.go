// Reads golden bytes and writes them again: prints for each message what it means, as JSON, and the bytes that come of it.
//
//	golden test/conformance/golden/envelopes.json
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	// An error's details are read by name.
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	_ "troupe.dev/conformance/gen/troupe/v1"
)

type golden struct {
	Name string
	Type protoreflect.FullName
	Hex  string
}

type read struct {
	Name string          `json:"name"`
	JSON json.RawMessage `json:"json"`
	// With fields that are not known, and without.
	Hex   string `json:"hex"`
	Known string `json:"known"`
}

func main() {
	for _, path := range os.Args[1:] {
		if err := file(path); err != nil {
			fmt.Fprintln(os.Stderr, path, err)
			os.Exit(1)
		}
	}
}

func file(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var all []golden
	if err := json.Unmarshal(content, &all); err != nil {
		return err
	}
	for _, each := range all {
		line, err := again(each)
		if err != nil {
			return fmt.Errorf("%s: %w", each.Name, err)
		}
		fmt.Println(string(line))
	}
	return nil
}

func again(each golden) ([]byte, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(each.Type)
	if err != nil {
		return nil, err
	}
	bytes, err := hex.DecodeString(each.Hex)
	if err != nil {
		return nil, err
	}
	whole, known := kind.New().Interface(), kind.New().Interface()
	if err := proto.Unmarshal(bytes, whole); err != nil {
		return nil, err
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(bytes, known); err != nil {
		return nil, err
	}
	result := read{Name: each.Name}
	if result.JSON, err = protojson.Marshal(known); err != nil {
		return nil, err
	}
	if result.Hex, err = encoded(whole); err != nil {
		return nil, err
	}
	if result.Known, err = encoded(known); err != nil {
		return nil, err
	}
	return json.Marshal(result)
}

func encoded(message proto.Message) (string, error) {
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	return hex.EncodeToString(bytes), err
}
