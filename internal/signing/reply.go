// SPDX-License-Identifier: GPL-3.0-only

package signing

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
)

// reply carries out what an action asks for. A refused order is the failure of
// the action and changes nothing.
func (w *signer) reply(s decision.Snapshot, d decision.Decision) (Changes, error) {
	changes := Changes{Status: d.Status, Log: d.Log, Reply: d.Reply}
	desired := d.Record
	err := w.carryOutAuthority(d, &desired, &changes)
	if err == nil && d.Reply.Order != nil {
		err = w.signReply(&changes, &desired, *d.Reply)
	}
	if err == nil && d.Reply.Backup != nil {
		err = w.backUp(&changes, &desired, s, *d.Reply)
	}
	switch {
	case errors.Is(err, pki.ErrBadRequest):
		return Changes{Status: d.Status, Reply: &decision.Reply{Failure: err.Error()}}, nil
	case err != nil:
		return Changes{}, err
	}
	if d.Making != nil && desired.Request != nil {
		changes.Reply.Results["csr"] = desired.Request.CSR
	}
	w.withdraw(s, &desired)
	changes.Log = append(changes.Log, w.log...)
	changes.Peer, err = record.Encode(desired)
	return changes, err
}

// signReply signs the order of an action, adds the certificate to the results
// and to the list, and puts a key that was made for it into a secret.
func (w *signer) signReply(changes *Changes, desired *record.Record, reply decision.Reply) error {
	pair := record.Pair{Order: reply.Order}
	if reply.Order.PublicKey == nil {
		if err := w.signPair(&pair); err != nil {
			return fmt.Errorf("cannot issue the certificate: %w", err)
		}
	} else {
		certificate, err := w.issue(reply.Order.Template, reply.Order.PublicKey)
		if err != nil {
			return fmt.Errorf("cannot sign the request: %w", err)
		}
		pair = record.Pair{Issued: record.NewIssued(w.authority.Active, certificate), Certificate: certificate.Raw}
	}
	outlook := w.authority.Target()
	root, chain := outlook.LegacyCA(), outlook.LegacyChain()
	leaf := pki.EncodeCertificatePEM(pair.Certificate)
	if pair.Key != nil {
		text := pair.PEM()
		changes.Issued = &juju.Secret{
			Description: "key and certificate issued by an action: serial " + pair.Serial,
			Content: map[string][]byte{
				SecretKey:         []byte(text.Key),
				SecretCertificate: []byte(leaf),
				"ca-certificate":  []byte(root),
			},
		}
		if chain != "" {
			changes.Issued.Content["ca-chain"] = []byte(chain)
		}
	}
	results := maps.Clone(reply.Results)
	results["certificate"], results["ca-certificate"] = leaf, root
	if chain != "" {
		results["ca-chain"] = chain
	}
	results["serial-number"] = pair.Serial
	changes.Reply = &decision.Reply{Results: results}
	desired.ByAction = slices.Clone(desired.ByAction)
	desired.ByAction[len(desired.ByAction)-1].Issued = pair.Issued
	return nil
}
