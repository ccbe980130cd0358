// SPDX-License-Identifier: GPL-3.0-only

// Package signing carries a decision out: it makes keys and certificates and
// gathers the databags as they shall be. It is the only code that uses a
// private key, and every certificate is verified against its issuer before it
// leaves (package pki).
//
// It does no I/O of its own; the CA's key is handed to it by a function that
// it calls when the first order needs it.
package signing

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/policy"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// Changes is what shall stand in Juju after the hook: complete bags, which
// write compares with what is there.
type Changes struct {
	// Secrets are to be made: keys of CAs.
	Secrets []juju.Secret
	// Issued is the secret of a key that an action made; its id is a result.
	Issued *juju.Secret
	// Removed are the labels of secrets that shall be no more.
	Removed []string
	// File is a backup, to be written on this unit.
	File      *File
	Peer      map[string]string
	Relations []RelationChanges
	Transfers []TransferChanges
	Observers []ObserverChanges
	// Upstream is our databag in the relation to the CA above.
	Upstream map[string]string
	Status   juju.Status
	Log      []decision.LogLine
	Reply    *decision.Reply
}

// RelationChanges are our bags in one relation. Application is nil on a unit
// that does not lead, and its values are in pieces that follow one another.
type RelationChanges struct {
	Relation    decision.Relation
	Unit        map[string]string
	Application map[string][]string
}

// TransferChanges are our bags in one relation of the send-ca-cert endpoint.
// Application is nil on a unit that does not lead.
type TransferChanges struct {
	Transfer    decision.Transfer
	Unit        map[string]string
	Application map[string]string
}

// signer signs the orders of one decision. The CA's key is read when the
// first order needs it, and so not at all in a hook that signs nothing.
type signer struct {
	now       time.Time
	authority *record.Authority
	keys      Keys
	// issuers are the CAs whose keys were read, by generation.
	issuers map[int]*pki.Issuer
	log     []decision.LogLine
	// fresh are keys that were made for the orders and not used yet.
	fresh map[pki.KeyType][]pki.PrivateKey
}

// CarryOut turns a decision into bytes. An order that cannot be carried out
// because of what it asks for is refused like any bad request; every other
// failure is an error, and nothing may be written then.
func CarryOut(s decision.Snapshot, d decision.Decision, keys Keys) (Changes, error) {
	w := &signer{now: s.Now, authority: d.Record.CA, keys: keys}
	if d.Reply != nil {
		return w.reply(s, d)
	}
	changes := Changes{Status: d.Status, Log: d.Log}
	desired := d.Record
	if err := w.carryOutAuthority(d, &desired, &changes); err != nil {
		return Changes{}, err
	}
	w.signLists(d.Lists, &desired)
	w.signResponders(d.Responders, &desired)
	if err := w.makeKeys(desired); err != nil {
		return Changes{}, err
	}
	if err := w.signClient(desired.Client); err != nil {
		return Changes{}, err
	}
	for _, relation := range s.Relations {
		change, err := w.signRelation(relation, desired, d.Answers)
		if err != nil {
			return Changes{}, fmt.Errorf("cannot answer relation %s: %w", relation.ID, err)
		}
		changes.Relations = append(changes.Relations, change)
	}
	w.withdraw(s, &desired)
	changes.Log = append(changes.Log, w.log...)
	for _, transfer := range s.Transfers {
		changes.Transfers = append(changes.Transfers, transferBags(transfer, desired, s.Leader))
	}
	changes.Observers = observerBags(s)
	changes.Log = append(changes.Log, observerFaults(s)...)
	changes.Upstream = decision.UpstreamBag(desired)
	var err error
	changes.Peer, err = record.Encode(desired)
	return changes, err
}

func (w *signer) signClient(client *record.Pair) error {
	if client == nil || client.Order == nil {
		return nil
	}
	if err := w.signPair(client); err != nil {
		return fmt.Errorf("cannot issue the global client certificate: %w", err)
	}
	return nil
}

// signRelation signs what one relation was promised and makes our bags of it.
func (w *signer) signRelation(relation decision.Relation, desired record.Record, answers map[int]decision.RelationAnswers) (RelationChanges, error) {
	number := relation.ID.Number
	change := RelationChanges{Relation: relation}
	if legacy := desired.Legacy[number]; legacy != nil {
		if err := w.signLegacy(legacy); err != nil {
			return RelationChanges{}, err
		}
	}
	if promised, leading := answers[number]; leading {
		index := desired.CSR[number]
		signed, err := w.signRequests(promised, index)
		if err != nil {
			return RelationChanges{}, err
		}
		change.Application = applicationBag(signed)
	}
	change.Unit = desired.UnitBag(number)
	return change, nil
}

func (w *signer) signLegacy(legacy *record.Legacy) error {
	for i := range legacy.Units {
		unit := &legacy.Units[i]
		signed := unit.Pairs[:0:0]
		for _, pair := range unit.Pairs {
			refused, err := w.signLegacyPair(&pair)
			if err != nil {
				return fmt.Errorf("cannot issue %s certificate %q for %s: %w", pair.Kind, pair.CommonName, unit.Unit, err)
			}
			if refused != nil && keeps(&pair) {
				w.noteRefusal(unit.Unit, pair.CommonName, refused)
				legacy.Problems = record.AddProblem(legacy.Problems, kept(unit.Unit, pair.CommonName, refused))
			} else if refused != nil {
				w.noteRefusal(unit.Unit, pair.CommonName, refused)
				legacy.Problems = record.AddProblem(legacy.Problems, record.Problem{Requester: unit.Unit, Subject: pair.CommonName, Reason: refused.Error(), Code: int(tlscertificates.Other)})
				continue
			}
			signed = append(signed, pair)
		}
		unit.Pairs = signed
	}
	if legacy.Shared == nil {
		return nil
	}
	refused, err := w.signLegacyPair(legacy.Shared)
	if refused != nil && keeps(legacy.Shared) {
		legacy.Problems = record.AddProblem(legacy.Problems, kept(legacy.Application, legacy.Shared.CommonName, refused))
	} else if refused != nil {
		w.noteRefusal(legacy.Application, legacy.Shared.CommonName, refused)
		legacy.Problems = record.AddProblem(legacy.Problems, record.Problem{Requester: legacy.Application, Subject: legacy.Shared.CommonName, Reason: refused.Error(), Code: int(tlscertificates.Other)})
		legacy.Shared = nil
	}
	return err
}

// keeps lets a valid pair stay where the CA does not sign the one that was to
// replace it; in a rotation the old root stays trusted as long.
func keeps(answer *record.Answer) bool {
	replaced := answer.Order.Replaced
	answer.Order = nil
	if replaced == nil || len(answer.Certificate) == 0 {
		return false
	}
	answer.CommonName, answer.Names = replaced.CommonName, replaced.Names
	return true
}

func kept(requester, subject string, why error) record.Problem {
	return record.Problem{Requester: requester, Subject: subject, Reason: "cannot be issued anew by the CA: " + why.Error()}
}

// noteRefusal logs what only the signature showed to be wrong: the decision
// should have refused it.
func (w *signer) noteRefusal(requester, subject string, why error) {
	w.log = append(w.log, decision.LogLine{Level: juju.Warning, Message: fmt.Sprintf("refused a request of %s while signing: %q: %v", requester, record.Shorten(subject), why)})
}

// signLegacyPair tells apart a request that is refused and a failure.
func (w *signer) signLegacyPair(pair *record.Answer) (refused, failed error) {
	if pair.Order == nil {
		return nil, nil
	}
	err := w.signPair(&pair.Pair)
	if errors.Is(err, pki.ErrBadRequest) {
		return err, nil
	}
	return nil, err
}

// signPair signs a pair for the key that it has, where the order says so. A key
// that is refused by now, as one of a CA that was taken over may be, is
// replaced.
func (w *signer) signPair(pair *record.Pair) error {
	if pair.Order.KeepKey {
		key, err := pki.ParsePrivateKeyDER(pair.Key)
		if err == nil {
			err = w.signKey(pair, key, pair.Asked)
		}
		if !errors.Is(err, pki.ErrBadRequest) {
			return err
		}
	}
	key, err := w.newKey(pair.Order.KeyType)
	if err != nil {
		return err
	}
	return w.signKey(pair, key, false)
}

func (w *signer) signKey(pair *record.Pair, key pki.PrivateKey, asked bool) error {
	certificate, err := w.issue(pair.Order.Template, key.Public())
	if err != nil {
		return err
	}
	*pair = record.Pair{
		Issued:      record.NewIssued(w.authority.Active, certificate),
		Certificate: certificate.Raw,
		Key:         key.EncodeDER(),
		Asked:       asked,
	}
	return nil
}

// signRequests signs the answers to CSRs that have an order and enters them
// into the index of the relation.
func (w *signer) signRequests(promised decision.RelationAnswers, index *record.Requests) (decision.RelationAnswers, error) {
	results, err := w.issueAll(promised.Certificates)
	if err != nil {
		return decision.RelationAnswers{}, err
	}
	signed := promised
	signed.Certificates = make([]decision.RequestAnswer, 0, len(promised.Certificates))
	anchor := w.tell().anchor
	for i, answer := range promised.Certificates {
		if answer.Order == nil {
			signed.Certificates = append(signed.Certificates, answer)
			continue
		}
		err := results[i].err
		switch {
		case errors.Is(err, pki.ErrBadRequest) && answer.Entry != "":
			w.noteRefusal("a requirer", "a certificate signing request", err)
			index.Problems = record.AddProblem(index.Problems, kept("a requirer", "a certificate signing request", err))
			answer.Order = nil
			signed.Certificates = append(signed.Certificates, answer)
		case errors.Is(err, pki.ErrBadRequest):
			r := policy.Refuse(tlscertificates.Other, "the certificate signing request is refused", err)
			w.noteRefusal("a requirer", "a certificate signing request", err)
			signed.Errors = append(signed.Errors, r.Answer(answer.CSR))
			index.Refuse(answer.CSR, r.Code, r.Reason)
		case err != nil:
			return decision.RelationAnswers{}, err
		default:
			index.Enter(answer.CSR, anchor, results[i].noted)
			answer.Published, answer.Order = results[i].published, nil
			signed.Certificates = append(signed.Certificates, answer)
		}
	}
	return signed, nil
}

// telling is what all answers of the CSR dialect have in common.
type telling struct {
	ca     string   // the one certificate that requirers are to trust
	above  []string // what follows the leaf in the chain
	anchor int      // the generation that ca is of; 0 when that is the issuer
}

func (w *signer) tell() telling {
	outlook := w.authority.Target()
	t := telling{ca: outlook.CA(), above: outlook.Chain("")[1:], anchor: outlook.Anchor().ID}
	if t.anchor == w.authority.Active {
		t.anchor = 0
	}
	return t
}

// answer is one entry of `certificates`: leaf first in the chain.
func (t telling) answer(csr string, certificate *x509.Certificate) tlscertificates.CertificateAnswer {
	leaf := pki.EncodeCertificatePEM(certificate.Raw)
	return tlscertificates.CertificateAnswer{CSR: csr, Certificate: leaf, CA: t.ca, Chain: slices.Concat([]string{leaf}, t.above)}
}

func (w *signer) issue(t pki.Template, public crypto.PublicKey) (*x509.Certificate, error) {
	issuer, err := w.issuing()
	if err != nil {
		return nil, err
	}
	return issuer.Issue(t, public)
}

// issuing is the CA that signs leaves, with its key.
func (w *signer) issuing() (*pki.Issuer, error) {
	return w.issuerOf(w.authority.ActiveGeneration())
}

// issuerOf is a generation with its key, which is read once.
func (w *signer) issuerOf(g *record.Generation) (*pki.Issuer, error) {
	if known := w.issuers[g.ID]; known != nil {
		return known, nil
	}
	issuer, err := w.keys.issuer(g)
	if err != nil {
		return nil, err
	}
	if w.issuers == nil {
		w.issuers = map[int]*pki.Issuer{}
	}
	w.issuers[g.ID] = issuer
	return issuer, nil
}
