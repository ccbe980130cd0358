// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tls-authority/internal/jujusim"
)

// collect reads the answers to all requests. A request without an answer, and
// a certificate that does not go with its key, is an error.
func (r *requirer) collect(model *jujusim.Model) ([]certificate, error) {
	if r.keys != nil {
		return r.collectCSR(model.Bag(r.relation, authorityApplication))
	}
	return r.collectLegacy(model.Bag(r.relation, authorityApplication+"/0"))
}

func (r *requirer) collectLegacy(bag map[string]string) ([]certificate, error) {
	var got []certificate
	for _, unit := range slices.Sorted(maps.Keys(r.bags)) {
		name := strings.ReplaceAll(unit, "/", "_")
		server, err := r.certificate(unit, "legacy", "server", bag[name+".server.cert"]+bag["chain"], bag[name+".server.key"], bag["ca"])
		if err != nil {
			return nil, err
		}
		got = append(got, server)
		clients, err := r.collectClients(unit, bag[name+".processed_client_requests"], bag)
		if err != nil {
			return nil, err
		}
		got = append(got, clients...)
	}
	return got, nil
}

// collectGlobal reads the client certificate that all legacy relations share.
func (r *requirer) collectGlobal(model *jujusim.Model) (certificate, error) {
	bag := model.Bag(r.relation, authorityApplication+"/0")
	return r.certificate("every legacy unit", "legacy", "client", bag["client.cert"], bag["client.key"], bag["ca"])
}

func (r *requirer) collectClients(unit, text string, bag map[string]string) ([]certificate, error) {
	if _, asked := r.bags[unit]["client_cert_requests"]; !asked {
		return nil, nil
	}
	var pairs map[string]struct{ Cert, Key string }
	if err := json.Unmarshal([]byte(text), &pairs); err != nil {
		return nil, fmt.Errorf("cannot read the client certificates of %s: %w", unit, err)
	}
	var got []certificate
	for _, commonName := range slices.Sorted(maps.Keys(pairs)) {
		client, err := r.certificate(unit, "legacy", "client", pairs[commonName].Cert+bag["chain"], pairs[commonName].Key, bag["ca"])
		if err != nil {
			return nil, err
		}
		got = append(got, client)
	}
	return got, nil
}

func (r *requirer) collectCSR(bag map[string]string) ([]certificate, error) {
	var answers []struct {
		CSR         string `json:"certificate_signing_request"`
		Certificate string
		CA          string
		Chain       []string
	}
	if err := json.Unmarshal([]byte(bag["certificates"]), &answers); err != nil {
		return nil, err
	}
	var got []certificate
	for _, owner := range slices.Sorted(maps.Keys(r.bags)) {
		for _, answer := range answers {
			if !r.asked(owner, answer.CSR) {
				continue
			}
			key, err := x509.MarshalPKCS8PrivateKey(r.keys[answer.CSR])
			if err != nil {
				return nil, err
			}
			keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
			c, err := r.certificate(owner, "csr", "server and client", strings.Join(answer.Chain, "\n"), string(keyPEM), answer.CA)
			if err != nil {
				return nil, err
			}
			got = append(got, c)
		}
	}
	if len(got) != len(r.bags) {
		return nil, fmt.Errorf("%d requests have %d answers", len(r.bags), len(got))
	}
	return got, nil
}

// asked tells whether an owner sent a CSR.
func (r *requirer) asked(owner, csr string) bool {
	var entries []struct {
		CSR string `json:"certificate_signing_request"`
	}
	if err := json.Unmarshal([]byte(r.bags[owner]["certificate_signing_requests"]), &entries); err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(e struct {
		CSR string `json:"certificate_signing_request"`
	}) bool {
		return e.CSR == csr
	})
}

// certificate takes one answer as a TLS stack would.
func (r *requirer) certificate(owner, dialect, kind, certPEM, keyPEM, caPEM string) (certificate, error) {
	if certPEM == "" || keyPEM == "" {
		return certificate{}, fmt.Errorf("%s has no %s certificate", owner, kind)
	}
	pair, err := tls.X509KeyPair([]byte(certPEM), []byte(keyPEM))
	if err != nil {
		return certificate{}, fmt.Errorf("cannot use the %s certificate of %s: %w", kind, owner, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(caPEM)) {
		return certificate{}, errors.New("cannot read the CA certificate")
	}
	return certificate{Application: r.application, Owner: owner, Dialect: dialect, Kind: kind, leaf: pair.Leaf, pair: pair, roots: roots}, nil
}
