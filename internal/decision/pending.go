// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// notePending compares the CA with what the options ask for. A change of
// source or key is carried out by rotate-ca alone; a later certificate for the
// same key below the same root changes nothing for anybody and is taken.
func notePending(s Snapshot, d *Decision) {
	if !s.ReviewsAuthority() || d.Record.CA.Rotation != nil {
		return
	}
	if s.Config.CASource == record.Imported {
		d.renewFromCandidate(s)
	}
	d.Record.CA.Pending = pending(s, d.Record)
}

// pending says in what the active CA is not the one that the options want;
// empty when it is.
func pending(s Snapshot, r record.Record) string {
	active := r.CA.ActiveGeneration()
	switch s.Config.CASource {
	case record.SelfSigned:
		if !active.IsRoot() {
			return "ca-source is self-signed: run rotate-ca"
		}
	case record.Imported:
		switch {
		case s.Candidate == nil:
			return r.CA.Pending
		case len(s.Candidate.Faults) > 0:
			return s.Candidate.Fault()
		case !CandidateIs(*s.Candidate, active):
			return "ca-secret holds another CA: run rotate-ca"
		}
	case record.Upstream:
		switch {
		case active.Origin() == record.Upstream && s.Upstream != nil:
		case s.Upstream == nil:
			return "ca-source is upstream: run juju integrate " + s.Event.Unit.Application() + ":" + UpstreamEndpoint
		case !r.Sought(record.Upstream).Answered():
			return "ca-source is upstream: waiting for its certificate"
		default:
			return "ca-source is upstream: run rotate-ca"
		}
	case record.Offline:
		switch {
		case active.Origin() == record.Offline && (r.Sought(record.Offline) == nil):
		case !r.Sought(record.Offline).Answered():
			return "ca-source is offline: run get-csr and upload-ca-certificate"
		default:
			return "ca-source is offline: run rotate-ca"
		}
	}
	return ""
}

// CandidateIs tells whether a candidate is the CA of a generation: the same
// key below the same root.
func CandidateIs(c Candidate, g *record.Generation) bool {
	candidate := record.Generation{Certificate: c.Certificate, Chain: c.Chain}
	theirs, err := Path(&candidate)
	if err != nil {
		return false
	}
	ours, err := Path(g)
	if err != nil {
		return false
	}
	return pki.SameAuthority(theirs[0], ours[0]) && SameRoot(theirs, ours)
}

// renewFromCandidate takes a certificate of the active CA that ends later.
func (d *Decision) renewFromCandidate(s Snapshot) {
	active := d.Record.CA.ActiveGeneration()
	if s.Candidate == nil || len(s.Candidate.Faults) > 0 || !CandidateIs(*s.Candidate, active) {
		return
	}
	theirs, err := pki.ParseCertificateDER(s.Candidate.Certificate)
	if err != nil {
		return
	}
	ours, err := pki.ParseCertificateDER(active.Certificate)
	if err != nil || !theirs.NotAfter.After(ours.NotAfter) {
		return
	}
	d.Record.CA = d.Record.CA.Renewed(s.Candidate.Certificate, s.Candidate.Chain)
	d.Log = append(d.Log, info("taking the renewed CA certificate of ca-secret"))
}
