// SPDX-License-Identifier: GPL-3.0-only

// Package decision is the behaviour of the charm: from a Snapshot of the model
// it makes a Decision, which says what shall be and why.
//
// It is pure. It reads no clock, draws no random number, does no I/O and sees
// no key of a CA; what it imports could not do so either. The same snapshot
// gives the same decision, so that the cases of its tests are the
// specification of the charm.
package decision

import (
	"tls-authority/internal/juju"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// Decision says what shall be and why. It carries exact times and names, and
// neither a CA's key nor anything random, so that tests compare it whole.
type Decision struct {
	// Making asks for the key of a CA. Nothing is issued in that hook: the
	// peer databag it writes wakes this unit again.
	Making *Making
	// Renew asks for a new certificate of the root, with its own key.
	Renew *record.Order
	// Prove asks for a proof that the next CA of the rotation in Record can
	// sign, Bridge for its cross-certificate too.
	Prove, Bridge bool
	// Restore are the generations whose keys come from the file that is
	// restored, with their numbers there.
	Restore map[int]int
	// Destroy are the generations whose keys shall be no more, as the record
	// said before.
	Destroy []int
	// Lists are the revocation lists to be signed, Responders the certificates
	// of our units that answer OCSP.
	Lists      []ListOrder
	Responders []ResponderOrder
	// Record is the peer databag as it shall be. Where a pair has an order,
	// the certificate is still to be signed.
	Record record.Record
	// Answers are those of the CSR dialect for the relations looked at; nil
	// on a unit that does not lead.
	Answers map[int]RelationAnswers
	Status  juju.Status
	Log     []LogLine
	// Reply answers an action.
	Reply *Reply

	// turned tells that a relation was given the stage of a rotation.
	turned bool
	// peerRoom is what is left in the peer databag, in bytes.
	peerRoom int
	// keys is how many more keys of requirers this hook makes.
	keys int
	// issued and revoked are found out once: what the record knows of
	// certificates, and which of them were revoked.
	issued  map[int][]record.Issued
	revoked record.Revocations
}

// Reply is the answer to an action: results, or why there are none. Keys of
// results are flat and kebab-case; a private key is never among the values.
type Reply struct {
	Results map[string]string
	Failure string
	// Order asks for a certificate whose text goes into the results. Where
	// it has no public key, a key is made, which goes into a secret whose id
	// is the result.
	Order *record.Order
	// Backup asks for a backup file, whose name goes into the results.
	Backup *Backup
}

// Backup says where a backup is written and what it is sealed with.
type Backup struct {
	Directory string
	// Secret is the user secret with the passphrase or the recipient.
	Secret string
	// Keep is how many backups stay in the directory; 0 keeps all.
	Keep int
}

// Making asks for a CA: its key, and its certificate or a request for one.
type Making struct {
	Generation int
	Source     record.Source
	// Reason is for people.
	Reason string
	// Template is that of a self-signed root; of a request for a certificate
	// the subject counts.
	Template pki.Template
	KeyType  pki.KeyType
	// Candidate is the imported CA.
	Candidate *Candidate
	// Stored tells that the key is in its secret already: left by a hook that
	// died, or that of a CA whose certificate is to be renewed.
	Stored bool
	// Previous is the request that this one replaces, Revoked that its
	// certificate was taken back.
	Previous string
	Revoked  bool
}

// LogLine is one message for the model's log.
type LogLine struct {
	Level   juju.LogLevel
	Message string
}

// RelationAnswers is the application databag of one relation as it shall be.
type RelationAnswers struct {
	Certificates []RequestAnswer
	Errors       []tlscertificates.RequestError
	Capabilities tlscertificates.Capabilities
}

// RequestAnswer is the answer to one CSR: the one that is published already,
// or one to be signed, with what is published until then.
type RequestAnswer struct {
	tlscertificates.Published
	Order *record.Order
}
