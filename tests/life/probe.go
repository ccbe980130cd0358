// SPDX-License-Identifier: GPL-3.0-only

package life

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"tls-authority/internal/jujusim"
)

// Probe is a fleet of TLS servers and clients, two for each unit that has a
// certificate. Each takes what its databags say whenever it pleases, as real
// requirers do: one has the newest while another still has what was published
// a day ago.
type Probe struct {
	// Handshakes counts those that were made.
	Handshakes int

	life    *Life
	parties []*party
}

// party is one unit of a requirer that serves and connects.
type party struct {
	name string
	// read gives the unit's certificate with what it presents beside it, and
	// what it trusts, as the databags say now.
	read func() (tls.Certificate, string, error)

	certificate tls.Certificate
	trust       string // PEM
}

// NewProbe makes a party of each unit that has a server certificate, and one
// for those who only trust the CA.
func (l *Life) NewProbe() (*Probe, error) {
	p := &Probe{life: l}
	for _, r := range l.requirers {
		for _, owner := range slices.Sorted(maps.Keys(r.wants)) {
			w := r.wants[owner]
			if r.legacy && w.top != "" {
				p.parties = append(p.parties, &party{name: owner, read: func() (tls.Certificate, string, error) { return l.readLegacy(r, owner) }})
			}
			for csr := range w.csrs {
				p.parties = append(p.parties, &party{name: owner, read: func() (tls.Certificate, string, error) {
					return l.readCSR(r, csr, w.keys[csr])
				}})
			}
		}
	}
	if len(p.parties) < 2 {
		return nil, errors.New("there are no two parties to talk")
	}
	return p, p.Refresh()
}

// readLegacy reads one unit's answers from one of our units at random.
func (l *Life) readLegacy(r *requirer, owner string) (tls.Certificate, string, error) {
	units := l.units()
	bag := l.Model.Bag(r.relation, units[l.random.IntN(len(units))])
	name := strings.ReplaceAll(owner, "/", "_")
	// Consumers append the chain to the certificate as text.
	certificate, err := tls.X509KeyPair([]byte(bag[name+".server.cert"]+bag["chain"]), []byte(bag[name+".server.key"]))
	return certificate, bag["ca"], err
}

// readCSR reads the answer to one CSR.
func (l *Life) readCSR(r *requirer, csr string, key crypto.PrivateKey) (tls.Certificate, string, error) {
	var answers []struct {
		CSR   string   `json:"certificate_signing_request"`
		CA    string   `json:"ca"`
		Chain []string `json:"chain"`
	}
	if err := json.Unmarshal([]byte(l.Model.Bag(r.relation, Application)["certificates"]), &answers); err != nil {
		return tls.Certificate{}, "", err
	}
	for _, answer := range answers {
		if answer.CSR != csr {
			continue
		}
		certificate := tls.Certificate{PrivateKey: key}
		for _, text := range answer.Chain {
			c, err := parseOne(text)
			if err != nil {
				return tls.Certificate{}, "", err
			}
			certificate.Certificate = append(certificate.Certificate, c.Raw)
		}
		var err error
		certificate.Leaf, err = x509.ParseCertificate(certificate.Certificate[0])
		return certificate, answer.CA, err
	}
	return tls.Certificate{}, "", errors.New("the CSR has no answer")
}

func pool(text string) *x509.CertPool {
	p := x509.NewCertPool()
	p.AppendCertsFromPEM([]byte(text))
	return p
}

// Refresh lets every party take what its databags say.
func (p *Probe) Refresh() error {
	for _, one := range p.parties {
		if err := one.refresh(); err != nil {
			return err
		}
	}
	return nil
}

func (one *party) refresh() error {
	certificate, trust, err := one.read()
	if err != nil {
		return fmt.Errorf("%s reads its databags: %w", one.name, err)
	}
	one.certificate, one.trust = certificate, trust
	return nil
}

// Stir lets some parties take what their databags say, and some talk.
func (p *Probe) Stir() error {
	random := p.life.random
	for _, one := range p.parties {
		if random.IntN(3) == 0 {
			if err := one.refresh(); err != nil {
				return err
			}
		}
	}
	const talks = 6
	for range talks {
		server, client := p.parties[random.IntN(len(p.parties))], p.parties[random.IntN(len(p.parties))]
		if err := p.talk(server, client); err != nil {
			return fmt.Errorf("%s connects to %s: %w", client.name, server.name, err)
		}
	}
	return nil
}

// talk is one handshake with certificates on both sides, over a real socket.
func (p *Probe) talk(server, client *party) error {
	now := func() time.Time { return p.life.Now }
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{server.certificate}, ClientCAs: pool(server.trust), ClientAuth: tls.RequireAndVerifyClientCert, Time: now,
	})
	if err != nil {
		return err
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			served <- err
			return
		}
		defer connection.Close()
		_, err = connection.Write([]byte("hello"))
		served <- err
	}()
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	connection, err := tls.DialWithDialer(dialer, "tcp", listener.Addr().String(), &tls.Config{
		Certificates: []tls.Certificate{client.certificate}, RootCAs: pool(client.trust), ServerName: server.certificate.Leaf.DNSNames[0], Time: now,
	})
	if err != nil {
		listener.Close()
		return errors.Join(err, <-served)
	}
	defer connection.Close()
	// In TLS 1.3 the client learns by reading whether it was accepted.
	_, err = connection.Read(make([]byte, 5))
	if err = errors.Join(err, <-served); err == nil {
		p.Handshakes++
	}
	return err
}

// Follow lets the model run hook by hook until nothing is left to do, stirring
// in between.
func (p *Probe) Follow() error {
	for {
		ran, err := p.life.Model.Step()
		if err != nil || !ran {
			return err
		}
		if err := errors.Join(p.life.look(), p.Stir()); err != nil {
			return fmt.Errorf("after %s: %w", p.life.LastHook(), err)
		}
	}
}

// Days lets time pass, an update-status on every unit each day. Within a day
// every party has taken what its databags say.
func (p *Probe) Days(days int) error {
	for range days {
		p.life.Now = p.life.Now.Add(24 * time.Hour)
		if err := p.Refresh(); err != nil {
			return err
		}
		for _, unit := range append(p.life.units(), p.life.Model.Units(Upper)...) {
			if err := p.life.Model.Queue(unit, "update-status"); err != nil {
				return err
			}
		}
		if err := p.Follow(); err != nil {
			return fmt.Errorf("%s: %w", p.life.Status(), err)
		}
	}
	return nil
}

// Status is the message of the unit that leads.
func (l *Life) Status() string {
	_, message := l.Model.Status(l.Model.Leader(Application))
	return message
}

// Act runs an action on the leader; a failed one is an error.
func (l *Life) Act(name string, parameters map[string]any) (jujusim.ActionResult, error) {
	l.note("run %s %v", name, parameters)
	result, err := l.Model.RunAction(l.Model.Leader(Application), name, parameters)
	if err == nil && result.Status != "completed" {
		err = fmt.Errorf("%s: %s", name, result.Message)
	}
	return result, err
}

// Rotates tells whether a rotation is under way.
func (l *Life) Rotates() (bool, error) {
	result, err := l.Act("rotation-status", nil)
	return result.Results["stage"] != "none", err
}

// Crowd relates one application of each dialect with two units, each with a
// server certificate.
func (l *Life) Crowd() error {
	return errors.Join(l.Fleet(true, 2), l.Fleet(false, 2), l.Model.Settle())
}
