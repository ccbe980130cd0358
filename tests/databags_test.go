// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// recording is one file of databags that a real charm library wrote.
type recording struct {
	Relations []struct {
		Bags map[string]map[string]string `json:"bags"`
	} `json:"relations"`
}

// TestRecordedDatabagsAreAnswered replays what real charm libraries wrote and
// holds the answers to what the interface demands of a provider.
func TestRecordedDatabagsAreAnswered(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(root, "internal", "tlscertificates", "testdata")
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	require.NoError(t, err)
	require.Len(t, files, 8)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var recorded recording
			require.NoError(t, json.Unmarshal(text, &recorded))
			s := newSite(t, jujusim.Options{}, 1)
			for _, relation := range recorded.Relations {
				application := ownerApplication(relation.Bags)
				number := s.relate(application, withoutJujuKeys(relation.Bags))
				requireAnswered(t, s, number, relation.Bags)
			}
			since := len(s.Hooks())
			require.NoError(t, s.UpdateStatus(charm+"/0"))
			require.Zero(t, s.writes(since))
			_, message := s.Status(charm + "/0")
			require.NotContains(t, message, "denied")
		})
	}
}

func ownerApplication(bags map[string]map[string]string) string {
	for owner := range bags {
		return strings.SplitN(owner, "/", 2)[0]
	}
	return ""
}

// withoutJujuKeys leaves what Juju itself writes to the simulated Juju.
func withoutJujuKeys(bags map[string]map[string]string) map[string]map[string]string {
	own := map[string]map[string]string{}
	for owner, bag := range bags {
		own[owner] = map[string]string{}
		for key, value := range bag {
			switch key {
			case "ingress-address", "private-address", "egress-subnets":
			default:
				own[owner][key] = value
			}
		}
	}
	return own
}

func requireAnswered(t *testing.T, s *site, relation int, bags map[string]map[string]string) {
	t.Helper()
	csrs, legacy := 0, false
	for owner, bag := range bags {
		csrs += requireCSRsAnswered(t, s, relation, bag)
		if bag["unit_name"] != "" {
			legacy = true
			requireLegacyAnswered(t, s, relation, owner, bag)
		}
	}
	require.Len(t, s.answers(relation), csrs, "every request of the CSR dialect has one answer")
	require.Empty(t, s.errors(relation))
	bag := s.legacy(relation)
	for _, key := range []string{"ca", "client.cert", "client.key"} {
		if legacy {
			require.NotEmpty(t, bag[key], "MUST 2: the base set goes to whoever shows a mark of the dialect")
		} else {
			require.NotContains(t, bag, key, "no client key to those who did not ask in the legacy dialect")
		}
	}
}

// requireCSRsAnswered returns how many CSRs a bag shows.
func requireCSRsAnswered(t *testing.T, s *site, relation int, bag map[string]string) int {
	t.Helper()
	if bag["certificate_signing_requests"] == "" {
		return 0
	}
	var requests []struct {
		CSR string `json:"certificate_signing_request"`
	}
	require.NoError(t, json.Unmarshal([]byte(bag["certificate_signing_requests"]), &requests))
	for _, request := range requests {
		got, answered := s.answers(relation)[request.CSR]
		require.True(t, answered, "MUST 10: the CSR is echoed byte for byte")
		block, _ := pem.Decode([]byte(request.CSR))
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		require.NoError(t, err)
		leaf := parseOne(t, got.Certificate)
		require.Equal(t, csr.RawSubject, leaf.RawSubject, "MUST 11: the subject is kept byte for byte")
		require.Equal(t, csr.RawSubjectPublicKeyInfo, leaf.RawSubjectPublicKeyInfo, "MUST 11: the key is the request's")
		for _, name := range csr.DNSNames {
			require.Contains(t, leaf.DNSNames, name)
		}
		require.False(t, leaf.IsCA)
		require.Equal(t, s.root(), parseOne(t, got.CA), "MUST 10: ca is exactly one certificate, the anchor")
		require.Equal(t, got.Certificate, got.Chain[0], "MUST 10: the chain begins with the leaf")
		require.Equal(t, got.CA, got.Chain[len(got.Chain)-1], "MUST 10: and ends with the root")
		require.Nil(t, got.Revoked, "MUST 10: revoked is left out unless true")
		requireServer(t, s.root(), leaf)
	}
	return len(requests)
}

func requireLegacyAnswered(t *testing.T, s *site, relation int, unit string, bag map[string]string) {
	t.Helper()
	ours, name := s.legacy(relation), bag["unit_name"]
	require.Equal(t, strings.ReplaceAll(unit, "/", "_"), name)
	if commonName := bag["common_name"]; commonName != "" {
		leaf := serverPair(ours, name).leaf(t)
		require.Equal(t, commonName, leaf.Subject.CommonName)
		var names []string
		require.NoError(t, json.Unmarshal([]byte(bag["sans"]), &names))
		for _, host := range append(names, commonName) {
			require.NoError(t, leaf.VerifyHostname(host), "MUST 4: the common name and every name asked for")
		}
		requireServer(t, s.root(), leaf)
	}
	for _, commonName := range requestedNames(t, bag["client_cert_requests"]) {
		leaf := processed(t, ours, name+".processed_client_requests")[commonName].leaf(t)
		require.Equal(t, commonName, leaf.Subject.CommonName)
		requireClient(t, s.root(), leaf)
	}
	if shared := requestedNames(t, bag["application_cert_requests"]); len(shared) > 0 {
		leaf := processed(t, ours, name+".processed_application_requests")["app_data"].leaf(t)
		require.NoError(t, leaf.VerifyHostname(shared[0]), "MUST 9: one certificate with the names of all")
		requireServer(t, s.root(), leaf)
	}
}

// requestedNames are the common names of a …cert_requests key.
func requestedNames(t *testing.T, text string) []string {
	t.Helper()
	if text == "" {
		return nil
	}
	var requests map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &requests))
	var names []string
	for name := range requests {
		names = append(names, name)
	}
	return names
}
