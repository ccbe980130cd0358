// SPDX-License-Identifier: GPL-3.0-only

package action

import (
	"fmt"
	"time"

	"tls-authority/internal/decision"
	"tls-authority/internal/record"
)

// getCSR tells the request that the operator has signed elsewhere. A request
// that waits is told again; the key stays unless a new one is asked for, so
// that a renewal touches no leaf.
func (k *desk) getCSR() *decision.Reply {
	newKey, err := decision.Parameter[bool](k.s, "new-key")
	if err != nil {
		return fail("%v", err)
	}
	r := k.d.Record
	if k.s.Config.CASource != record.Offline {
		return fail("ca-source is %s: run juju config %s ca-source=offline first", k.s.Config.CASource, k.s.Event.Unit.Application())
	}
	if r.CA != nil && r.CA.Rotation != nil {
		return fail("a rotation is under way: %s", decision.Progress(k.s, r))
	}
	if sought := r.Sought(record.Offline); sought.Answered() && !newKey {
		return fail("the certificate of generation %d waits for rotate-ca; new-key=true gives it up", sought.Generation)
	}
	generation := r.Next()
	renewal := r.CA != nil && r.CA.ActiveGeneration().Origin() == record.Offline && !newKey
	if renewal {
		generation = r.CA.ActiveGeneration().KeyID()
	} else if sought := r.Sought(record.Offline); sought != nil && !sought.Answered() {
		generation = sought.Generation
	}
	if request := r.Request; request != nil && request.Source == record.Offline && request.Generation == generation && !request.Answered() {
		return csrReply(request.CSR, "the request that waits for its certificate")
	}
	k.d.Ask(decision.NewRequest(k.s, generation, record.Offline, "an operator asked"))
	return csrReply("", "have this request signed as a CA and run upload-ca-certificate with the answer")
}

// csrReply is the answer with a request; a new one is filled in by whoever
// signs it.
func csrReply(csr, message string) *decision.Reply {
	return &decision.Reply{Results: map[string]string{"message": message, "csr": csr}}
}

// uploadCertificate takes the certificate that the operator had signed. The
// first one makes the CA; one for the key that signs renews it; any other
// waits for rotate-ca.
func (k *desk) uploadCertificate() *decision.Reply {
	texts, err := parameters[string](k.s, "certificate", "chain")
	if err != nil {
		return fail("%v", err)
	}
	dryRun, err := decision.Parameter[bool](k.s, "dry-run")
	if err != nil {
		return fail("%v", err)
	}
	r := k.d.Record
	if r.Request == nil || r.Request.Source != record.Offline {
		return fail("no request waits for a certificate: run get-csr first")
	}
	if r.CA != nil && r.CA.Rotation != nil {
		return fail("a rotation is under way: %s", decision.Progress(k.s, r))
	}
	g, above, err := decision.AnsweredGeneration(k.s, *r.Request, texts[0], texts[1])
	if err != nil {
		return fail("%v", err)
	}
	path, err := decision.Path(g)
	if err != nil {
		return fail("%v", err)
	}
	results := map[string]string{
		"subject":   path[0].Subject.String(),
		"root":      path[len(path)-1].Subject.String(),
		"not-after": path[0].NotAfter.UTC().Format(time.RFC3339),
		"message":   "the certificate can be used; nothing has been changed",
	}
	if dryRun {
		return &decision.Reply{Results: results}
	}
	k.d.Record.Request = decision.Answered(*r.Request, *g)
	switch {
	case r.CA == nil:
		k.d.Record.CA, k.d.Record.Request = record.NewAuthority(*g), nil
		results["message"] = "the certificate is taken: the CA is in service"
	case r.CA.ActiveGeneration().KeyID() == g.ID:
		if err := k.d.TakeRenewed(k.s, *g, above); err != nil {
			return fail("%v", err)
		}
		k.d.Record.Request = nil
		results["message"] = "the certificate is taken for the key that signs"
		if k.d.Record.CA.Rotation != nil {
			results["message"] = "the certificate leads to another root: rotating to it with the same key, follow it with rotation-status"
		}
	default:
		results["message"] = fmt.Sprintf("the certificate is kept for generation %d: run rotate-ca to put it into service", g.ID)
	}
	return &decision.Reply{Results: results}
}
