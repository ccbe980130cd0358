// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"sync"

	"tls-authority/internal/jujusim"
)

// probe lets the requirers connect to each other without a pause, both sides
// with a certificate, each with what it last took from its databags.
type probe struct {
	model     *jujusim.Model
	requirers []*requirer
	random    *rand.Rand // of refresh

	mu         sync.Mutex // guards what follows
	parties    [][]certificate
	handshakes int
	failures   int
	failure    string

	once   sync.Once
	ending chan struct{}
	ended  chan struct{}
}

// whom refresh is about.
type whom int

const (
	some whom = iota // each requirer by chance
	all
)

func newProbe(model *jujusim.Model, requirers []*requirer) (*probe, error) {
	p := &probe{
		model: model, requirers: requirers, parties: make([][]certificate, len(requirers)),
		random: rand.New(rand.NewPCG(1, 1)), ending: make(chan struct{}), ended: make(chan struct{}),
	}
	return p, p.refresh(all)
}

// refresh lets requirers take what their databags say.
func (p *probe) refresh(who whom) error {
	for i, r := range p.requirers {
		if who == some && p.random.IntN(2) == 0 {
			continue
		}
		got, err := r.collect(p.model)
		if err != nil {
			return fmt.Errorf("cannot read the answers of %s: %w", r.application, err)
		}
		var servers []certificate
		for _, c := range got {
			if len(c.leaf.DNSNames)+len(c.leaf.IPAddresses) > 0 {
				servers = append(servers, c)
			}
		}
		p.mu.Lock()
		p.parties[i] = servers
		p.mu.Unlock()
	}
	return nil
}

// start begins to connect.
func (p *probe) start() {
	go func() {
		defer close(p.ended)
		for {
			select {
			case <-p.ending:
				return
			default:
				p.connect()
			}
		}
	}()
}

// stop ends it and returns what was counted.
func (p *probe) stop() rotation {
	p.once.Do(func() { close(p.ending) })
	<-p.ended
	return rotation{Handshakes: p.handshakes, Failures: p.failures, Failure: p.failure}
}

// connect is one handshake between two parties by chance.
func (p *probe) connect() {
	server, client := p.pick(), p.pick()
	_, err := connect(server, &tls.Config{
		RootCAs: client.roots, Certificates: []tls.Certificate{client.pair}, ServerName: serverName(server),
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handshakes++
	if err != nil {
		p.failures++
		if p.failure == "" {
			p.failure = fmt.Sprintf("%s calls %s: %v", client.Owner, server.Owner, err)
		}
	}
}

func (p *probe) pick() certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	party := p.parties[rand.IntN(len(p.parties))]
	return party[rand.IntN(len(party))]
}

// settle connects some more, so that no stage passes unseen.
func (p *probe) settle() {
	const more = 25
	for range more {
		p.connect()
	}
}

func (p *probe) counts() (handshakes, failures int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.handshakes, p.failures
}

// serverName is a name that a server's certificate bears.
func serverName(c certificate) string {
	if len(c.leaf.IPAddresses) > 0 {
		return c.leaf.IPAddresses[0].String()
	}
	return c.leaf.DNSNames[0]
}
