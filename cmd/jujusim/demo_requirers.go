// SPDX-License-Identifier: GPL-3.0-only

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"

	"tls-authority/internal/jujusim"
)

// requirer stands in for an application: it writes into its databags what the
// real charm writes, and reads its answers where the real charm looks.
type requirer struct {
	application string
	about       string
	units       int
	// bags are what it writes when it joins, by owner.
	bags map[string]map[string]string
	// keys are those of its CSRs, by the text of the CSR.
	keys map[string]crypto.Signer

	relation int
}

// certificate is one certificate as its requirer got it, with the key that
// goes with it and the CA that it was told to trust.
type certificate struct {
	Application string
	Owner       string
	Dialect     string
	Kind        string
	leaf        *x509.Certificate
	pair        tls.Certificate
	roots       *x509.CertPool
}

func newRequirers() ([]*requirer, error) {
	web, err := newCSRRequirer()
	if err != nil {
		return nil, err
	}
	return []*requirer{newControlPlane(), newEtcd(), web}, nil
}

// newControlPlane asks for what kubernetes-control-plane, formerly
// kubernetes-master, asks for: a server certificate with all names of the API
// server, and the client certificate with which it calls kubelets.
func newControlPlane() *requirer {
	return &requirer{
		application: "kubernetes-control-plane",
		about:       "formerly kubernetes-master; legacy dialect",
		units:       1,
		bags: map[string]map[string]string{"kubernetes-control-plane/0": {
			"unit_name":            "kubernetes-control-plane_0",
			"common_name":          "10.0.0.5",
			"certificate_name":     "0d2f5c0e-6c1d-4f0e-9f56-5f3c5a2e8f10",
			"sans":                 `["10.0.0.5", "10.152.183.1", "127.0.0.1", "fd00:1::5", "juju-host-0", "juju-host-0.lxd", "kubernetes", "kubernetes.cluster.local", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]`,
			"client_cert_requests": `{"system:kube-apiserver": {"sans": null}}`,
		}},
	}
}

// newEtcd asks for one certificate a unit; each serves clients and peers.
func newEtcd() *requirer {
	r := &requirer{application: "etcd", about: "three units; legacy dialect", units: 3, bags: map[string]map[string]string{}}
	for i := range r.units {
		address := fmt.Sprintf("10.0.1.%d", i+1)
		r.bags[fmt.Sprintf("etcd/%d", i)] = map[string]string{
			"unit_name":        fmt.Sprintf("etcd_%d", i),
			"common_name":      address,
			"certificate_name": fmt.Sprintf("etcd_%d", i),
			"sans":             fmt.Sprintf(`[%q, "127.0.0.1", "juju-host-%d", "10.0.1.1", "10.0.1.2", "10.0.1.3"]`, address, i+1),
		}
	}
	return r
}

// newCSRRequirer keeps its keys and sends CSRs: one for each unit, and one for
// the application.
func newCSRRequirer() (*requirer, error) {
	r := &requirer{
		application: "web",
		about:       "two units and the application; CSR dialect",
		units:       2,
		bags:        map[string]map[string]string{},
		keys:        map[string]crypto.Signer{},
	}
	for owner, name := range map[string]string{"web": "web.example.com", "web/0": "web-0.example.com", "web/1": "web-1.example.com"} {
		csr, err := r.newCSR(name)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal([]map[string]any{{"certificate_signing_request": csr, "ca": false}})
		if err != nil {
			return nil, err
		}
		r.bags[owner] = map[string]string{"certificate_signing_requests": string(text)}
	}
	return r, nil
}

func (r *requirer) newCSR(name string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: name},
		DNSNames: []string{name},
	}, key)
	if err != nil {
		return "", err
	}
	csr := strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	r.keys[csr] = key
	return csr, nil
}

// join relates the application and writes its requests, as its charm does
// when it meets the provider.
func (r *requirer) join(model *jujusim.Model) error {
	if err := model.AddStandIn(r.application, r.units); err != nil {
		return err
	}
	var err error
	r.relation, err = model.Relate(authorityApplication+":certificates", r.application+":certificates")
	if err != nil {
		return err
	}
	for owner, bag := range r.bags {
		if err := model.SetBag(r.relation, owner, bag); err != nil {
			return err
		}
	}
	return model.Settle()
}
