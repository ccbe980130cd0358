// SPDX-License-Identifier: GPL-3.0-only

package decision

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
)

// reply answers an action from the snapshot alone. Any unit can: all it says
// is in the peer databag. Keys of results are flat and kebab-case; a private
// key is never among the values.
func reply(s Snapshot) *Reply {
	r := s.Record()
	if r.CA == nil {
		return &Reply{Failure: "there is no CA yet: wait until the leader unit is active"}
	}
	a, err := newAuthority(r.CA)
	if err != nil {
		return &Reply{Failure: err.Error()}
	}
	switch s.Event.Name {
	case "get-ca-certificate":
		return authorityReply(s, a)
	case "list-certificates":
		return listReply(r)
	}
	return &Reply{Failure: fmt.Sprintf("the action %q is not known to this charm", s.Event.Name)}
}

func authorityReply(s Snapshot, a authority) *Reply {
	fingerprint := sha256.Sum256(a.certificate.Raw)
	return &Reply{Results: map[string]string{
		"message":            fmt.Sprintf("root CA %s, valid for another %s", a.certificate.Subject, policy.SpellDuration(a.validity.NotAfter.Sub(s.Now))),
		"ca-certificate":     pki.EncodeCertificatePEM(a.certificate.Raw),
		"subject":            a.certificate.Subject.String(),
		"serial-number":      a.certificate.SerialNumber.Text(16),
		"not-before":         a.validity.NotBefore.Format(time.RFC3339),
		"not-after":          a.validity.NotAfter.Format(time.RFC3339),
		"sha256-fingerprint": fmt.Sprintf("%x", fingerprint),
	}}
}

// listedCertificate is one entry of the result `certificates`, in JSON.
type listedCertificate struct {
	Relation     int    `json:"relation"`
	Requester    string `json:"requester"`
	Kind         string `json:"kind"`
	CommonName   string `json:"common-name"`
	SerialNumber string `json:"serial-number"`
	NotBefore    string `json:"not-before"`
	NotAfter     string `json:"not-after"`
}

func listReply(r record.Record) *Reply {
	list := listCertificates(r)
	text, err := json.Marshal(list)
	if err != nil {
		return &Reply{Failure: fmt.Sprintf("cannot encode the list: %v", err)}
	}
	return &Reply{Results: map[string]string{
		"message":      count(len(list), "certificate") + " in service",
		"count":        fmt.Sprint(len(list)),
		"certificates": string(text),
	}}
}

// listCertificates are the certificates in service, by relation and
// requester, the global client certificate first.
func listCertificates(r record.Record) []listedCertificate {
	list := []listedCertificate{}
	add := func(relation int, requester, kind, commonName string, issued record.Issued) {
		list = append(list, listedCertificate{
			Relation:     relation,
			Requester:    requester,
			Kind:         kind,
			CommonName:   commonName,
			SerialNumber: issued.Serial,
			NotBefore:    issued.NotBefore.Format(time.RFC3339),
			NotAfter:     issued.NotAfter.Format(time.RFC3339),
		})
	}
	if r.Client != nil {
		add(-1, "all legacy relations", "client", globalClientName, r.Client.Issued)
	}
	for _, number := range r.Relations() {
		if legacy := r.Legacy[number]; legacy != nil {
			for _, unit := range legacy.Units {
				for _, pair := range unit.Pairs {
					add(number, unit.Unit, string(pair.Kind), pair.CommonName, pair.Issued)
				}
			}
			if shared := legacy.Shared; shared != nil {
				add(number, legacy.Application, string(shared.Kind), shared.CommonName, shared.Issued)
			}
		}
		if requests := r.CSR[number]; requests != nil {
			for _, c := range requests.Certificates {
				add(number, c.Requesters[0], "csr", c.Name, c.Issued)
			}
		}
	}
	return list
}
