package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	troupe "troupe.dev/conformance/gen/troupe/v1"
)

const (
	kindSend     = troupe.EnvelopeKind_ENVELOPE_KIND_SEND
	kindRequest  = troupe.EnvelopeKind_ENVELOPE_KIND_REQUEST
	kindResponse = troupe.EnvelopeKind_ENVELOPE_KIND_RESPONSE
	kindError    = troupe.EnvelopeKind_ENVELOPE_KIND_ERROR
	kindAck      = troupe.EnvelopeKind_ENVELOPE_KIND_ACK
	kindTask     = troupe.EnvelopeKind_ENVELOPE_KIND_TASK
	kindResult   = troupe.EnvelopeKind_ENVELOPE_KIND_RESULT
	kindChunk    = troupe.EnvelopeKind_ENVELOPE_KIND_CHUNK
	kindProgress = troupe.EnvelopeKind_ENVELOPE_KIND_PROGRESS
	kindCancel   = troupe.EnvelopeKind_ENVELOPE_KIND_CANCEL
	kindDemand   = troupe.EnvelopeKind_ENVELOPE_KIND_DEMAND
)

// program is on Messaging.Connect, says what a case wants it to say, and keeps what it hears.
type program struct {
	sync.Mutex
	stream grpc.BidiStreamingClient[troupe.ConnectRequest, troupe.ConnectResponse]
	cancel context.CancelFunc
	frames []*troupe.ConnectResponse
	ended  error
}

func connect(there *at) *program {
	ctx, cancel := context.WithCancel(within(30))
	p := &program{stream: got(there.messaging.Connect(ctx)), cancel: cancel}
	go func() {
		for {
			frame, err := p.stream.Recv()
			p.Lock()
			if err == nil {
				p.frames = append(p.frames, frame)
			}
			p.ended = err
			p.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return p
}

func (p *program) send(frame *troupe.ConnectRequest) {
	// What is wrong with a stream is what reading it tells.
	if err := p.stream.Send(frame); err != io.EOF {
		must(err)
	}
}

func (p *program) sendHello(hello *troupe.Hello) {
	p.send(&troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Hello{Hello: hello}})
}

func (p *program) hello(hello *troupe.Hello) *troupe.Welcome {
	p.sendHello(hello)
	return p.frame(func(frame *troupe.ConnectResponse) bool { return frame.GetWelcome() != nil }, "welcome").GetWelcome()
}

func (p *program) numbered(sequence uint64, envelopes ...*troupe.Envelope) {
	batch := &troupe.Batch{Envelopes: envelopes, Sequence: sequence}
	p.send(&troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Batch{Batch: batch}})
}

func (p *program) batch(envelopes ...*troupe.Envelope) {
	p.numbered(0, envelopes...)
}

// pong returns when all that was sent to the program before is here.
func (p *program) pong(id uint64) {
	p.send(&troupe.ConnectRequest{Frame: &troupe.ConnectRequest_Ping{Ping: &troupe.Ping{Id: id}}})
	p.frame(func(frame *troupe.ConnectResponse) bool {
		return frame.GetPong() != nil && frame.GetPong().GetId() == id
	}, "pong")
}

// frame gives the first that matches, past or to come.
func (p *program) frame(matches func(*troupe.ConnectResponse) bool, what string) (found *troupe.ConnectResponse) {
	p.until("no "+what, func() bool {
		for _, frame := range p.frames {
			if matches(frame) {
				found = frame
				return true
			}
		}
		return false
	})
	return found
}

// envelope gives the first of a kind that matches, past or to come.
func (p *program) envelope(kind troupe.EnvelopeKind, matches func(*troupe.Envelope) bool) (found *troupe.Envelope) {
	p.until(fmt.Sprintf("no %v", kind), func() bool {
		for _, each := range p.came(kind) {
			if matches == nil || matches(each) {
				found = each
				return true
			}
		}
		return false
	})
	return found
}

// until waits for what holds under the lock.
func (p *program) until(what string, condition func() bool) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		p.Lock()
		holds, ended := condition(), p.ended
		p.Unlock()
		if holds {
			return
		}
		check(ended == nil && time.Now().Before(end), "%s; ended: %v; came: %v", what, ended, p.frames)
	}
}

// came gives the envelopes of a kind; 0: all. Under the lock, or where nothing comes any more.
func (p *program) came(kind troupe.EnvelopeKind) (found []*troupe.Envelope) {
	for _, frame := range p.frames {
		for _, each := range frame.GetBatch().GetEnvelopes() {
			if kind == 0 || each.GetKind() == kind {
				found = append(found, each)
			}
		}
	}
	return found
}

func (p *program) envelopes(kind troupe.EnvelopeKind) []*troupe.Envelope {
	p.Lock()
	defer p.Unlock()
	return p.came(kind)
}

// received is the number of the last batch that came.
func (p *program) received() (last uint64) {
	p.Lock()
	defer p.Unlock()
	for _, frame := range p.frames {
		last = max(last, frame.GetBatch().GetSequence())
	}
	return last
}

func (p *program) halfClose() {
	must(p.stream.CloseSend())
}

func (p *program) breaks() {
	p.cancel()
}

func (p *program) ends(code codes.Code, reason string) fault {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		p.Lock()
		ended := p.ended
		p.Unlock()
		if ended == nil {
			check(time.Now().Before(end), "the stream does not end")
			continue
		}
		if code == codes.OK {
			check(ended == io.EOF, "the stream ends with %v", ended)
			return fault{}
		}
		return fails(ended, code, reason)
	}
}

func isProbe(message *troupe.Envelope) bool {
	return message.GetHeaders()["probe"] == "yes"
}

// notes gives the texts of what was sent to the program by its case.
func (p *program) notes() (texts []string) {
	for _, each := range p.envelopes(kindSend) {
		if !isProbe(each) {
			texts = append(texts, each.GetPayload().GetText())
		}
	}
	return texts
}
