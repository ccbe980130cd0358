// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// signingCost sets the charm beside crypto/x509 with a CA key of one type.
type signingCost struct {
	CAKey string `json:"ca-key-type"`

	// One signature: x509.CreateCertificate alone, and internal/pki, which
	// checks what it is asked, reads back what it signed, and verifies it.
	Bare  spread `json:"bare-signature"`
	Issue spread `json:"issue"`

	// One hook with one CSR.
	OneHook spread `json:"one-hook"`

	// One hook with many CSRs, and plain programs that answer the same: one
	// signs, reads back and verifies; the other reads and verifies the CSR
	// before, and writes PEM after.
	Batch      int    `json:"batch"`
	BatchHooks int    `json:"batch-hooks"`
	BatchHook  spread `json:"batch-hook"`
	BatchWall  spread `json:"batch-hook-wall"`
	Plain      spread `json:"plain-batch"`
	PlainWhole spread `json:"plain-batch-with-csr"`
}

// signatureBlock is how many signatures are timed together.
const signatureBlock = 200

// signingRuns are the runs behind a signingCost. Each run of the charm has one
// of everything else beside it, so that a machine that is slow for a while is
// slow for all of them.
type signingRuns struct {
	bare, issue, plain, whole []float64
	one, batch                costList
}

func (b *bench) measureSigning() error {
	for _, keyType := range []string{"ecdsa-p256", "rsa-2048"} {
		b.say("  %d CSRs at once, %s", b.sizes.batch, keyType)
		requests, err := b.newRequests("batch", 0, b.sizes.batch)
		if err != nil {
			return err
		}
		row := signingCost{CAKey: keyType, Batch: b.sizes.batch}
		var runs signingRuns
		for range b.sizes.runs {
			err = b.signPlainly(keyType, requests, &runs)
			if err != nil {
				return err
			}
			row.BatchHooks, err = b.signInHooks(keyType, requests, &runs)
			if err != nil {
				return err
			}
		}
		row.Bare, row.Issue = newSpread(runs.bare), newSpread(runs.issue)
		row.Plain, row.PlainWhole = newSpread(runs.plain), newSpread(runs.whole)
		row.OneHook, row.BatchHook, row.BatchWall = runs.one.cpu(), runs.batch.cpu(), runs.batch.wall()
		b.report.Signing = append(b.report.Signing, row)
	}
	return nil
}

// signPlainly runs what knows nothing of Juju.
func (b *bench) signPlainly(keyType string, requests []string, runs *signingRuns) error {
	batch, err := b.baseline(baselineOrder{Work: "batch", KeyType: keyType, Runs: 1, Requests: requests})
	if err != nil {
		return err
	}
	bare, err := b.baseline(baselineOrder{Work: "bare", KeyType: keyType, Runs: 1, Count: signatureBlock, Requests: requests[:1]})
	if err != nil {
		return err
	}
	issue, err := b.baseline(baselineOrder{Work: "issue", KeyType: keyType, Runs: 1, Count: signatureBlock, Requests: requests[:1]})
	if err != nil {
		return err
	}
	runs.plain, runs.whole = append(runs.plain, batch["plain"].Median), append(runs.whole, batch["whole"].Median)
	runs.bare, runs.issue = append(runs.bare, bare["signature"].Median), append(runs.issue, issue["signature"].Median)
	return nil
}

// signInHooks lets a unit ask for one certificate, and then one of another
// application for many. It returns in how many hooks those were issued.
func (b *bench) signInHooks(keyType string, requests []string, runs *signingRuns) (int, error) {
	s, err := newSite(b.options.charm, map[string]any{"ca-key-type": keyType})
	if err != nil {
		return 0, err
	}
	defer s.close()
	single, err := s.relate("single")
	if err != nil {
		return 0, err
	}
	for range b.sizes.runs {
		hooks, err := b.ask(single, requestCost{Dialect: "csr"})
		if err != nil {
			return 0, err
		}
		runs.one = append(runs.one, hooks[0])
	}
	many, err := s.relate("batch")
	if err != nil {
		return 0, err
	}
	hooks, err := many.askAtOnce(requests)
	if err != nil {
		return 0, err
	}
	signing := signingHooks(hooks)
	runs.batch = append(runs.batch, sumCosts(signing))
	return len(signing), expect(many.issuedCSR(), len(requests))
}

// askAtOnce lets one unit that has joined write all requests.
func (f *fleet) askAtOnce(requests []string) ([]hookCost, error) {
	unit, err := f.join(func(string) map[string]string { return nil })
	if err != nil {
		return nil, err
	}
	_, err = f.settle()
	if err != nil {
		return nil, err
	}
	err = f.model.SetBag(f.relation, unit, csrBag(requests...))
	if err != nil {
		return nil, err
	}
	return f.settle()
}

// signingHooks are those that wrote something. The charm may spread what one
// event asks for over several.
func signingHooks(hooks []hookCost) []hookCost {
	var signing []hookCost
	for _, hook := range hooks {
		if hook.writes > 0 {
			signing = append(signing, hook)
		}
	}
	return signing
}

// baselineBatch answers a batch of CSRs with crypto/x509.
func baselineBatch(order baselineOrder) (baselineFigures, error) {
	authority, err := newPlainAuthority(order.KeyType)
	if err != nil {
		return nil, err
	}
	var plain, whole []float64
	for range order.Runs {
		var parsed []*x509.CertificateRequest
		for _, text := range order.Requests {
			request, err := parsePlainRequest(text)
			if err != nil {
				return nil, err
			}
			parsed = append(parsed, request)
		}
		cost, err := timed(func() error { return authority.answerParsed(parsed) })
		if err != nil {
			return nil, err
		}
		plain = append(plain, cost)
		cost, err = timed(func() error { return authority.answer(order.Requests) })
		if err != nil {
			return nil, err
		}
		whole = append(whole, cost)
	}
	return baselineFigures{"plain": newSpread(plain), "whole": newSpread(whole)}, nil
}

func (a *plainAuthority) answerParsed(requests []*x509.CertificateRequest) error {
	for _, request := range requests {
		der, err := a.sign(request)
		if err != nil {
			return err
		}
		err = a.check(der)
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *plainAuthority) answer(texts []string) error {
	for _, text := range texts {
		request, err := parsePlainRequest(text)
		if err != nil {
			return err
		}
		err = request.CheckSignature()
		if err != nil {
			return err
		}
		der, err := a.sign(request)
		if err != nil {
			return err
		}
		err = a.check(der)
		if err != nil {
			return err
		}
		if len(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) == 0 {
			return fmt.Errorf("cannot encode a certificate")
		}
	}
	return nil
}

// baselineBare signs the same request again and again.
func baselineBare(order baselineOrder) (baselineFigures, error) {
	authority, err := newPlainAuthority(order.KeyType)
	if err != nil {
		return nil, err
	}
	request, err := parsePlainRequest(order.Requests[0])
	if err != nil {
		return nil, err
	}
	figure, err := signatures(order, func() error { _, err := authority.sign(request); return err })
	return baselineFigures{"signature": figure}, err
}

// signatures times blocks of signatures and returns the time of one.
func signatures(order baselineOrder, sign func() error) (spread, error) {
	var runs []float64
	for range order.Runs {
		cost, err := timed(func() error {
			for range order.Count {
				err := sign()
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return spread{}, err
		}
		runs = append(runs, cost/float64(order.Count))
	}
	return newSpread(runs), nil
}
