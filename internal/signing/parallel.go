// SPDX-License-Identifier: GPL-3.0-only

package signing

import (
	"runtime"
	"sync"
	"sync/atomic"

	"tls-authority/internal/decision"
	"tls-authority/internal/pki"
	"tls-authority/internal/record"
	"tls-authority/internal/tlscertificates"
)

// each calls do for all numbers below n, on all cores. One number is not worth
// a thread, which costs a small hook a tenth of its time.
func each(n int, do func(i int)) {
	if n == 1 {
		do(0)
		return
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	workers.Wait()
}

// issued is what came of an order: the answer and what is noted of it. The
// certificate itself is let go at once: a hook may issue thousands.
type issued struct {
	published tlscertificates.Published
	noted     record.Issued
	err       error
}

// issueAll issues the orders of one relation's answers. What depends on their
// order comes after.
func (w *signer) issueAll(answers []decision.RequestAnswer) (map[int]issued, error) {
	var ordered []int
	for i, answer := range answers {
		if answer.Order != nil {
			ordered = append(ordered, i)
		}
	}
	if len(ordered) == 0 {
		return nil, nil
	}
	issuer, err := w.issuing()
	if err != nil {
		return nil, err
	}
	told, results := w.tell(), make([]issued, len(ordered))
	each(len(ordered), func(n int) {
		answer := answers[ordered[n]]
		certificate, err := issuer.Issue(answer.Order.Template, answer.Order.PublicKey)
		if err != nil {
			results[n].err = err
			return
		}
		results[n].published = tlscertificates.Publish(told.answer(answer.CSR, certificate))
		results[n].noted = record.NewIssued(w.authority.Active, certificate)
	})
	byAnswer := make(map[int]issued, len(ordered))
	for n, i := range ordered {
		byAnswer[i] = results[n]
	}
	return byAnswer, nil
}

// makeKeys makes the keys that the orders of a record ask for. RSA keys take a
// tenth of a second each, and the hook waits for nothing else.
func (w *signer) makeKeys(desired record.Record) error {
	var wanted []pki.KeyType
	for pair := range desired.Pairs() {
		if pair.Order != nil && !pair.Order.KeepKey {
			wanted = append(wanted, pair.Order.KeyType)
		}
	}
	keys, errs := make([]pki.PrivateKey, len(wanted)), make([]error, len(wanted))
	each(len(wanted), func(i int) { keys[i], errs[i] = pki.GenerateKey(wanted[i]) })
	w.fresh = map[pki.KeyType][]pki.PrivateKey{}
	for i, keyType := range wanted {
		if errs[i] != nil {
			return errs[i]
		}
		w.fresh[keyType] = append(w.fresh[keyType], keys[i])
	}
	return nil
}

// newKey is one of the keys that were made beforehand, or another one: the
// order turned out to need it only while it was carried out.
func (w *signer) newKey(t pki.KeyType) (pki.PrivateKey, error) {
	if ready := w.fresh[t]; len(ready) > 0 {
		w.fresh[t] = ready[1:]
		return ready[0], nil
	}
	return pki.GenerateKey(t)
}
