// SPDX-License-Identifier: GPL-3.0-only

package signing

import (
	"fmt"
	"math/big"
	"slices"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// NewResponderKey makes the key with which one unit answers OCSP. It stays on
// the unit.
func NewResponderKey() (pki.PrivateKey, error) { return pki.GenerateKey(pki.ECDSAP256) }

// signLists signs the revocation lists that a decision orders. One that cannot
// be signed stops nothing: certificates are issued and keys destroyed without
// it, and the list before it says itself how long it holds.
func (w *signer) signLists(orders []decision.ListOrder, desired *record.Record) {
	for _, order := range orders {
		list, err := w.signList(order)
		if err != nil {
			w.warn("cannot sign the revocation list of generation %d: %v", order.Generation, err)
			continue
		}
		if desired.Lists == nil {
			desired.Lists = map[int]*record.List{}
		}
		desired.Lists[order.Generation] = list
	}
}

func (w *signer) warn(format string, args ...any) {
	w.log = append(w.log, decision.LogLine{Level: juju.Warning, Message: fmt.Sprintf(format, args...)})
}

func (w *signer) signList(order decision.ListOrder) (*record.List, error) {
	issuer, err := w.issuerOf(w.authority.Generation(order.Generation))
	if err != nil {
		return nil, err
	}
	var last *big.Int
	if order.Last != "" {
		number, ok := new(big.Int).SetString(order.Last, 10)
		if !ok {
			return nil, fmt.Errorf("the last one has the number %q", order.Last)
		}
		last = number
	}
	list := pki.RevocationList{
		Number:     pki.NextCRLNumber(last, w.now),
		ThisUpdate: order.ThisUpdate,
		NextUpdate: order.NextUpdate,
	}
	for _, revoked := range order.Entries {
		serial, ok := new(big.Int).SetString(revoked.Serial, 16)
		if !ok {
			return nil, fmt.Errorf("%q is no serial number", revoked.Serial)
		}
		at := revoked.At
		if at.After(w.now) {
			at = w.now // the clock was ahead when it was revoked
		}
		list.Entries = append(list.Entries, pki.Revocation{Serial: serial, RevokedAt: at, Reason: revoked.Reason})
	}
	der, err := issuer.SignCRL(list)
	if err != nil {
		return nil, err
	}
	return &record.List{
		Number:     list.Number.String(),
		ThisUpdate: list.ThisUpdate.UTC(),
		NextUpdate: list.NextUpdate.UTC(),
		Content:    order.Content,
		CRL:        der,
		Final:      order.Final,
	}, nil
}

// signResponders certifies the units that answer OCSP. That a CA does not
// certify them is noted until the certificate would have been due again.
func (w *signer) signResponders(orders []decision.ResponderOrder, desired *record.Record) {
	for _, order := range orders {
		issuer, err := w.issuerOf(w.authority.Generation(order.Generation))
		if err != nil {
			w.warn("cannot certify the OCSP responder of %s: %v", order.Unit, err)
			continue
		}
		entry := record.ResponderCertificate{Issued: record.Issued{Generation: order.Generation}}
		certificate, err := issuer.Issue(order.Template, order.PublicKey)
		if err != nil {
			validity := order.Template.Validity
			entry.NotBefore, entry.NotAfter, entry.Problem = validity.NotBefore, validity.NotAfter, err.Error()
			w.warn("cannot certify the OCSP responder of %s: %v", order.Unit, err)
		} else {
			entry.Issued, entry.Certificate = record.NewIssued(order.Generation, certificate), certificate.Raw
			entry.KeyDigest = "" // the key stands beside it
		}
		entry.Issuer = order.Issuer
		known := desired.Responders[order.Unit]
		replaced := &record.Responder{Key: known.Key, Certificates: []record.ResponderCertificate{entry}}
		for _, c := range known.Certificates {
			if c.Generation != order.Generation && desired.CA.Generation(c.Generation) != nil {
				replaced.Certificates = append(replaced.Certificates, c)
			}
		}
		slices.SortFunc(replaced.Certificates, func(a, b record.ResponderCertificate) int { return a.Generation - b.Generation })
		desired.Responders[order.Unit] = replaced
	}
}

// withdraw notes what this hook takes out of service, and revokes it where the
// operator wants that of those who leave. What has no key any more cannot be
// revoked.
func (w *signer) withdraw(s decision.Snapshot, desired *record.Record) {
	if s.Peer == nil || !s.Leader {
		return
	}
	var left []record.Issued
	for _, gone := range desired.Withdraw(s.Peer.Record, w.now) {
		if g := desired.CA.Generation(gone.Generation); gone.Left && desired.HasKey(g) {
			left = append(left, gone.Issued)
		}
	}
	if !s.Config.RevokeOnDeparture {
		return
	}
	if n := desired.Revoke(pki.CessationOfOperation, w.now, left...); n > 0 {
		w.warn("%d certificates of those who left are not revoked: %d are, and no more can be", n, record.MaxRevoked)
	}
}
