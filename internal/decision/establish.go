// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// establish gives the model its first CA. It is reached only when the peer
// databag knows none.
func establish(s Snapshot, d *Decision) {
	d.Status = juju.Status{Name: juju.Maintenance, Message: "recording the certificate authority"}
	generation := s.Record().Next() // above those that are about to be destroyed
	if request := d.Record.Request; request != nil && request.Source != s.Config.CASource {
		d.Record.Request = nil
		d.Doom(request.Generation)
	}
	if s.Found != nil && len(s.Found.Certificate) > 0 {
		// Whatever the options say: a CA that exists is never passed over.
		d.Record.CA = record.NewAuthority(*s.Found)
		d.Log = append(d.Log, info("adopting the CA whose secret was left by an unfinished hook"))
		return
	}
	switch s.Config.CASource {
	case record.Imported:
		if status, ready := candidateStatus(s); !ready {
			d.Status = status
			return
		}
		if d.orphaned(s) {
			return
		}
	case record.Upstream:
		if d.Record.Request != nil {
			establishUpstream(s, d)
			return
		}
		if s.Upstream == nil {
			d.Status = upstreamMissing(s)
			return
		}
	case record.Offline:
		d.Status = juju.Status{Name: juju.Blocked, Message: "no CA certificate yet: run get-csr, have the request signed, then run upload-ca-certificate"}
		return
	default:
		if d.orphaned(s) {
			return
		}
	}
	d.Making = newMaking(s, generation, s.Config.CASource, "the model has no CA")
	d.Log = append(d.Log, info("making the %s CA: the model has none", s.Config.CASource))
}

// newMaking asks for a CA of the given source by the options as they are.
func newMaking(s Snapshot, generation int, source record.Source, reason string) *Making {
	m := &Making{
		Generation: generation,
		Source:     source,
		Reason:     reason,
		KeyType:    s.Config.CAKeyType,
		Template: pki.Template{
			Profile:  pki.Root,
			Subject:  policy.GenerationSubject(s.Config.CASubject, generation),
			Validity: pki.NewValidity(s.Now, s.Config.CAValidity),
		},
		Stored: s.Found != nil && s.Found.ID == generation,
	}
	if source == record.Imported {
		m.Candidate = s.Candidate
	}
	return m
}

// NewRequest asks for the key of a generation and a request for its
// certificate, or for another request with the key that is there.
func NewRequest(s Snapshot, generation int, source record.Source, reason string) *Making {
	m := newMaking(s, generation, source, reason)
	r := s.Record()
	if r.Request != nil && r.Request.Generation == generation {
		m.Previous, m.Stored = r.Request.CSR, true
	}
	if r.CA != nil && r.CA.Generation(generation) != nil {
		m.Stored = true
	}
	return m
}

// candidateStatus tells whether the CA of the operator's secret can be used,
// and if not, every reason.
func candidateStatus(s Snapshot) (juju.Status, bool) {
	switch {
	case s.Candidate == nil:
		return juju.Status{Name: juju.Waiting, Message: "waiting to read ca-secret"}, false
	case len(s.Candidate.Faults) > 0:
		return juju.Status{Name: juju.Blocked, Message: record.Cut(s.Candidate.Fault(), maxStatus)}, false
	}
	return juju.Status{}, true
}
