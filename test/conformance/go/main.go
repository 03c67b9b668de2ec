// Does what test/conformance/cases.json lists, against a cluster, and prints a line of JSON for each case.
//
//	conformance -gateway 127.0.0.1:8080 -node 127.0.0.1:8765 tasks.run tasks.stream
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
)

var cases = map[string]func(*cluster){
	"tasks.run":    tasksRun,
	"tasks.stream": tasksStream,
	"tasks.resume": tasksResume,

	"registry.pages":    registryPages,
	"registry.discover": registryDiscover,
	"registry.watch":    registryWatch,
	"registry.resume":   registryResume,
	"registry.lease":    registryLease,

	"messages.send":      messagesSend,
	"messages.request":   messagesRequest,
	"messages.broadcast": messagesBroadcast,
	"messages.subscribe": messagesSubscribe,

	"attach.hello":         attachHello,
	"attach.task":          attachTask,
	"attach.request":       attachRequest,
	"attach.message":       attachMessage,
	"attach.demand":        attachDemand,
	"attach.credit":        attachCredit,
	"attach.ping":          attachPing,
	"attach.cancel":        attachCancel,
	"attach.resume":        attachResume,
	"attach.drain":         attachDrain,
	"attach.client":        attachClient,
	"attach.subscriptions": attachSubscriptions,
	"attach.refused":       attachRefused,

	"errors.fields": errorsFields,
	"errors.info":   errorsInfo,
	"errors.retry":  errorsRetry,
	"errors.agent":  errorsAgent,

	"deadline.call": deadlineCall,
	"deadline.task": deadlineTask,
	"cancel.task":   cancelTask,
	"trace.context": traceContext,

	"health.check":    healthCheck,
	"reflection.list": reflectionList,

	"input.limit":     inputLimit,
	"input.method":    inputMethod,
	"input.malformed": inputMalformed,
	"input.unknown":   inputUnknown,
}

func main() {
	gateway := flag.String("gateway", "127.0.0.1:8080", "address of a gateway")
	node := flag.String("node", "127.0.0.1:8765", "address of a node")
	flag.Parse()
	names := flag.Args()
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(cases))
	}
	there := &cluster{dial(*gateway), dial(*node)}
	for _, name := range names {
		detail := "this client has no such case"
		if work, known := cases[name]; known {
			detail = attempt(func() { work(there) })
		}
		line, err := json.Marshal(map[string]any{"case": name, "ok": detail == "", "detail": detail})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(string(line))
	}
}
