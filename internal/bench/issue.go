// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"time"

	"tls-authority/internal/pki"
)

// baselineIssue signs with internal/pki, as the charm does, but with nothing
// of the charm around it. It is the one place of the simulator that knows the
// charm's inside, and that has a key, of a CA that nobody trusts.
func baselineIssue(order baselineOrder) (baselineFigures, error) {
	now := time.Now()
	keyType, err := pki.ParseKeyType(order.KeyType)
	if err != nil {
		return nil, err
	}
	key, err := pki.GenerateKey(keyType)
	if err != nil {
		return nil, err
	}
	root := pki.Template{Profile: pki.Root, Subject: pki.Subject{CommonName: "baseline"}, Validity: pki.NewValidity(now, 10*365*24*time.Hour)}
	cert, err := pki.CreateSelfSigned(root, key)
	if err != nil {
		return nil, err
	}
	issuer, err := pki.NewIssuer(cert, key)
	if err != nil {
		return nil, err
	}
	request, err := pki.ParseCertificateRequest(order.Requests[0])
	if err != nil {
		return nil, err
	}
	validity, err := pki.ValidityOf(cert).Clip(now, 90*24*time.Hour)
	if err != nil {
		return nil, err
	}
	leaf := pki.Template{Profile: pki.Leaf, Subject: request.Subject, Names: request.Names, Usage: request.Usage, Validity: validity}
	figure, err := signatures(order, func() error { _, err := issuer.Issue(leaf, request.PublicKey); return err })
	return baselineFigures{"signature": figure}, err
}
