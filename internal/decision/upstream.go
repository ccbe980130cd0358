// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

func upstreamMissing(s Snapshot) juju.Status {
	return juju.Status{Name: juju.Blocked, Message: "ca-source is upstream: " + s.UpstreamRemedy()}
}

// establishUpstream adopts the first certificate from the CA above.
func establishUpstream(s Snapshot, d *Decision) {
	request := *d.Record.Request
	if s.Upstream == nil {
		d.Status = upstreamMissing(s)
		return
	}
	generation, _, err := upstreamAnswer(s, request)
	switch {
	case errors.Is(err, errRevoked) && mayAskAgain(s, request):
		d.askAgain(s, request)
		d.Status = juju.Status{Name: juju.Waiting, Message: "waiting for the CA above to sign our certificate"}
	case err != nil:
		d.Status = juju.Status{Name: juju.Blocked, Message: record.Cut(err.Error(), maxStatus)}
	case generation == nil:
		d.Status = juju.Status{Name: juju.Waiting, Message: "waiting for the CA above to sign our certificate"}
	default:
		d.Record.CA = record.NewAuthority(*generation)
		d.Log = append(d.Log, info("adopting the CA certificate from upstream"))
	}
}

// followUpstream takes over what the CA above gave us: the certificate of a
// CA to come, or another one for the CA that signs. It asks for one ahead of
// a rotation that the options want.
func followUpstream(s Snapshot, d *Decision) {
	ca := d.Record.CA
	if s.wantsUpstream() && d.Record.Sought(record.Upstream) == nil {
		d.Ask(NewRequest(s, s.Record().Next(), record.Upstream, "the option ca-source asks for an upstream CA"))
		return
	}
	request := d.Record.Request
	if request == nil || request.Source != record.Upstream {
		ca.Trouble = ""
		return
	}
	if s.Upstream == nil {
		return
	}
	generation, above, err := upstreamAnswer(s, *request)
	if errors.Is(err, errRevoked) && ca.Rotation == nil && mayAskAgain(s, *request) {
		d.askAgain(s, *request)
		return
	}
	ca.Trouble = ""
	if err != nil {
		ca.Trouble = record.Cut(err.Error(), maxStatus)
	}
	if generation == nil {
		return
	}
	if own := ca.Generation(request.Generation); own == nil {
		d.Record.Request = Answered(*request, *generation)
		return
	}
	d.renewFromUpstream(s, *generation, above)
}

// Answered is the request with its certificate.
func Answered(request record.Request, g record.Generation) *record.Request {
	request.Certificate, request.Chain, request.Revoked = g.Certificate, g.Chain, false
	return &request
}

// revokedPause is the least time between two requests because of a revocation:
// a CA that takes back whatever it gives must not keep us asking.
const revokedPause = time.Hour

func mayAskAgain(s Snapshot, request record.Request) bool {
	return s.Now.Sub(request.Made) >= revokedPause
}

// askAgain asks for another certificate in place of a revoked one. Some CAs
// revoke what they issued when their options change, and wait for a new request.
func (d *Decision) askAgain(s Snapshot, request record.Request) {
	m := NewRequest(s, request.Generation, record.Upstream, "the CA above revoked our certificate")
	m.Revoked = true
	d.Ask(m)
	d.Log = append(d.Log, warning("the CA above revoked our certificate: asking for another one"))
}

// Ask orders a request and the end of the key whose request it replaces.
func (d *Decision) Ask(m *Making) {
	d.Making = m
	if r := d.Record.Request; r != nil && r.Generation != m.Generation && (d.Record.CA == nil || d.Record.CA.Generation(r.Generation) == nil) {
		if d.Record.CA != nil {
			d.Record.CA = d.Record.CA.Clone()
			d.Record.CA.Last = max(d.Record.CA.Last, r.Generation, m.Generation)
		}
		d.Record.Request = nil
		d.Doom(r.Generation)
	}
}

// renewFromUpstream takes another certificate for the key of the active CA.
func (d *Decision) renewFromUpstream(s Snapshot, g record.Generation, above []*x509.Certificate) {
	ca := d.Record.CA
	active := ca.ActiveGeneration()
	if ca.Rotation != nil || active.KeyID() != g.ID || sameChain(*active, g) {
		return
	}
	err := d.TakeRenewed(s, g, above)
	if err != nil && !errors.Is(err, errNoLater) {
		ca.Trouble = record.Cut(err.Error(), maxStatus)
	}
}

// errRevoked tells that the CA above takes its certificate back.
var errRevoked = errors.New("upstream revoked our certificate")

// errNoLater tells of a certificate that ends no later than ours. To take it
// would leave leaves in service that outlive it, and two answers that take
// turns would write without end.
var errNoLater = errors.New("it ends no later than the certificate in service")

// TakeRenewed takes another certificate for the key of the active CA. Below
// the same root it is taken at once; another root has to be trusted first,
// which is a rotation that keeps the key. The others are certificates that may
// lead from the new root to the old one.
func (d *Decision) TakeRenewed(s Snapshot, g record.Generation, others []*x509.Certificate) error {
	ca := d.Record.CA
	active := ca.ActiveGeneration()
	before, err := Path(active)
	if err != nil {
		return err
	}
	after, err := Path(&g)
	if err != nil {
		return err
	}
	if SameRoot(before, after) {
		request := d.Record.Request
		replaces := request != nil && request.Revoked && request.Generation == active.KeyID()
		if !replaces && !after[0].NotAfter.After(before[0].NotAfter) {
			return errNoLater
		}
		d.Record.CA = ca.Renewed(g.Certificate, g.Chain)
		if replaces {
			taken := *request
			taken.Revoked = false // it replaces one certificate, not every one
			d.Record.Request = &taken
		}
		d.Log = append(d.Log, info("our CA certificate is renewed, now valid until %s", after[0].NotAfter.UTC().Format("2006-01-02")))
		return nil
	}
	g.ID, g.Key = max(d.Record.Next(), s.Record().Next()), active.KeyID()
	next := ca.Added(g)
	next.Rotation = &record.Rotation{From: ca.Active, To: g.ID, Stage: record.Preparing, Since: s.Now, Source: g.Source, Bridge: bridge(after, before, others)}
	next.Pending = ""
	d.Record.CA = next
	d.Log = append(d.Log, info("the root above us changed: rotating to it with our own key"))
	return nil
}

// bridge finds, among certificates of others, the way from a new root to the
// old one.
func bridge(after, before, others []*x509.Certificate) [][]byte {
	old := before[len(before)-1]
	through, err := pki.BuildChain(after[0], slices.Concat(others, before[1:]), old)
	if err != nil || len(through) < 2 {
		return nil
	}
	var bridge [][]byte
	for _, c := range through[1 : len(through)-1] {
		if !slices.ContainsFunc(after, c.Equal) {
			bridge = append(bridge, c.Raw)
		}
	}
	return bridge
}

func sameChain(a, b record.Generation) bool {
	return bytes.Equal(a.Certificate, b.Certificate) && slices.EqualFunc(a.Chain, b.Chain, bytes.Equal)
}

// upstreamAnswer is the certificate that the CA above gave us for a request;
// nil when there is none yet. An answer that cannot serve is an error with
// every reason: to adopt it would break whoever trusts us. All certificates that
// came with it are returned too.
func upstreamAnswer(s Snapshot, request record.Request) (*record.Generation, []*x509.Certificate, error) {
	for _, refused := range s.Upstream.Errors {
		if strings.TrimSpace(refused.CSR) == request.CSR {
			return nil, nil, fmt.Errorf("upstream refuses our request: %s", record.Shorten(refused.Message))
		}
	}
	if s.Upstream.Problem != "" {
		return nil, nil, fmt.Errorf("cannot read the upstream databag: %s", s.Upstream.Problem)
	}
	i := slices.IndexFunc(s.Upstream.Answers, func(a tlscertificates.CertificateAnswer) bool {
		return strings.TrimSpace(a.CSR) == request.CSR
	})
	if i < 0 {
		return nil, nil, nil
	}
	answer := s.Upstream.Answers[i]
	if answer.Revoked {
		return nil, nil, errRevoked
	}
	return AnsweredGeneration(s, request, answer.Certificate, strings.Join(append([]string{answer.CA}, answer.Chain...), "\n"))
}

// AnsweredGeneration checks the certificate that was given for a request, with
// whatever came with it, and orders its path. All that came is returned too.
func AnsweredGeneration(s Snapshot, request record.Request, certificateText, others string) (*record.Generation, []*x509.Certificate, error) {
	csr, err := pki.ParseCertificateRequest(request.CSR)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := pki.ParseCertificatePEM(certificateText)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the certificate of our CA: %w", err)
	}
	var above []*x509.Certificate
	if strings.TrimSpace(others) != "" {
		above, err = pki.ParseCertificatesPEM(others)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the chain of our CA: %w", err)
	}
	chain, err := chainOf(leaf, above)
	if err != nil {
		return nil, nil, fmt.Errorf("the certificate of our CA does not lead to a root: %w", err)
	}
	if faults := pki.AuthorityFaults(chain, csr.PublicKey, s.Now); len(faults) > 0 {
		return nil, nil, fmt.Errorf("the certificate of our CA cannot be used: %s", strings.Join(faults, "; "))
	}
	return &record.Generation{ID: request.Generation, Source: request.Source, Certificate: chain[0].Raw, Chain: pki.EncodeCertificatesDER(chain[1:])}, above, nil
}

// chainOf builds the path of an answer. What the CA above calls `ca` comes
// first among the others and is the root of choice, where it is one.
func chainOf(leaf *x509.Certificate, above []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(above) > 0 {
		if chain, err := pki.BuildChain(leaf, above, above[0]); err == nil {
			return chain, nil
		}
	}
	return pki.BuildChain(leaf, above, nil)
}

// UpstreamBag is what every unit of ours shows the CA above.
func UpstreamBag(r record.Record) map[string]string {
	if r.Request == nil || r.Request.Source != record.Upstream {
		return nil
	}
	return map[string]string{tlscertificates.KeyCSRs: tlscertificates.EncodeRequests([]tlscertificates.CSRRequest{{CSR: r.Request.CSR, CA: true}})}
}
