// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
)

// requesterKeyCount is how many keys all requesters share. A key of one's own
// costs each real requester much, and the CA nothing.
const requesterKeyCount = 4

// newRequesterKeys makes keys of the kind that the charm library of the CSR
// dialect makes.
func newRequesterKeys() ([]crypto.Signer, error) {
	var keys []crypto.Signer
	for range requesterKeyCount {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("cannot make a requester's key: %w", err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// newRequests makes CSRs for the units of an application from number first on,
// on all cores.
func (b *bench) newRequests(application string, first, count int) ([]string, error) {
	requests := make([]string, count)
	failed := make([]error, count)
	next := make(chan int)
	var wait sync.WaitGroup
	for range runtime.NumCPU() {
		wait.Go(func() {
			for i := range next {
				requests[i], failed[i] = newRequest(fmt.Sprintf("%s-%d", application, first+i), b.keys[i%len(b.keys)])
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	wait.Wait()
	return requests, errors.Join(failed...)
}

// newRequest makes a CSR with names as a unit of a database asks for.
func newRequest(host string, key crypto.Signer) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:     pkix.Name{CommonName: host + ".example.com"},
		DNSNames:    []string{host + ".example.com", host + ".internal"},
		IPAddresses: []net.IP{net.IPv4(10, 1, 2, 3)},
	}, key)
	if err != nil {
		return "", fmt.Errorf("cannot make a CSR: %w", err)
	}
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))), nil
}

// csrBag is the databag of a unit that sends CSRs.
func csrBag(requests ...string) map[string]string {
	type entry struct {
		CSR string `json:"certificate_signing_request"`
		CA  bool   `json:"ca"`
	}
	var entries []entry
	for _, request := range requests {
		entries = append(entries, entry{CSR: request})
	}
	text, err := json.Marshal(entries)
	if err != nil {
		panic(err) // strings and booleans can be encoded
	}
	return map[string]string{"certificate_signing_requests": string(text)}
}

// legacyBag is the databag of a unit that asks for a server certificate as
// etcd does.
func legacyBag(unit string) map[string]string {
	name := strings.ReplaceAll(unit, "/", "_")
	return map[string]string{
		"unit_name":        name,
		"common_name":      name + ".example.com",
		"certificate_name": name,
		"sans":             fmt.Sprintf(`[%q, "127.0.0.1", "10.1.2.3"]`, name+".internal"),
	}
}
