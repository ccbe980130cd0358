// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/tlscertificates"
)

// recordedBag names a databag of testdata: what a real charm library wrote.
type recordedBag struct{ file, owner string }

func readBag(t testing.TB, recorded recordedBag) tlscertificates.Bag {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", recorded.file+".json"))
	require.NoError(t, err)
	var recording struct {
		Relations []struct {
			Bags map[string]tlscertificates.Bag `json:"bags"`
		} `json:"relations"`
	}
	require.NoError(t, json.Unmarshal(text, &recording))
	require.Len(t, recording.Relations, 1)
	bag, found := recording.Relations[0].Bags[recorded.owner]
	require.True(t, found, "no databag of %s in %s", recorded.owner, recorded.file)
	return bag
}

// kubernetesNames are the names that every unit of the recorded Kubernetes charms
// asks for, with its own address and host.
func kubernetesNames(address, host string) []string {
	return []string{
		address, "10.152.183.1", "127.0.0.1", "api.k8s.example.com", "fd00:1::1", host, host + ".lxd",
		"kubernetes", "kubernetes.cluster.local", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local",
	}
}

func TestRecordedLegacyBags(t *testing.T) {
	t.Parallel()
	topLevel := func(commonName string, names ...string) tlscertificates.LegacyRequest {
		return tlscertificates.LegacyRequest{Kind: tlscertificates.Server, CommonName: commonName, Names: names, TopLevel: true}
	}
	listed := func(kind tlscertificates.Kind, commonName string, names ...string) tlscertificates.LegacyRequest {
		return tlscertificates.LegacyRequest{Kind: kind, CommonName: commonName, Names: names, Listed: true}
	}
	legacy := func(unitName string, requests ...tlscertificates.LegacyRequest) *tlscertificates.LegacyRequests {
		return &tlscertificates.LegacyRequests{UnitName: unitName, Requests: requests}
	}
	for recorded, want := range map[recordedBag]*tlscertificates.LegacyRequests{
		{"kubernetes-control-plane-ops", "kubernetes-control-plane/0"}: legacy("kubernetes-control-plane_0",
			topLevel("10.0.0.1", kubernetesNames("10.0.0.1", "juju-host-0")...),
			listed(tlscertificates.Client, "system:kube-apiserver")),
		{"kubernetes-worker-ops", "kubernetes-worker/0"}: legacy("kubernetes-worker_0",
			topLevel("10.0.0.1", kubernetesNames("10.0.0.1", "juju-host-0")...),
			listed(tlscertificates.Client, "system:kubelet")),
		{"kubernetes-worker-ops", "kubernetes-worker/1"}: legacy("kubernetes-worker_1",
			topLevel("10.0.0.2", kubernetesNames("10.0.0.2", "juju-host-1")...),
			listed(tlscertificates.Client, "system:kubelet")),
		{"reactive-application", "haproxy/0"}: legacy("haproxy_0",
			topLevel("s-0.example.com"), listed(tlscertificates.Application, "vip-0.example.com", "10.9.0.0")),
		{"reactive-application", "haproxy/1"}: legacy("haproxy_1",
			topLevel("s-1.example.com"), listed(tlscertificates.Application, "vip-1.example.com", "10.9.0.1")),
		{"reactive-application", "haproxy/2"}: legacy("haproxy_2",
			topLevel("s-2.example.com"), listed(tlscertificates.Application, "vip-2.example.com", "10.9.0.2")),
		{"reactive-server-and-client", "etcd/0"}: legacy("etcd_0",
			topLevel("10.0.0.0", "10.0.0.0", "etcd-0.local"), listed(tlscertificates.Client, "etcd-client")),
		{"reactive-server-and-client", "etcd/1"}: legacy("etcd_1",
			topLevel("10.0.0.1", "10.0.0.1", "etcd-1.local"), listed(tlscertificates.Client, "etcd-client")),
		{"reactive-server-and-client", "etcd/2"}: legacy("etcd_2",
			topLevel("10.0.0.2", "10.0.0.2", "etcd-2.local"), listed(tlscertificates.Client, "etcd-client")),
	} {
		t.Run(recorded.file+" "+recorded.owner, func(t *testing.T) {
			t.Parallel()
			got := tlscertificates.ParseUnitBag(readBag(t, recorded))
			require.Equal(t, tlscertificates.UnitRequests{Legacy: want}, got)
		})
	}
}

func TestRecordedCSRBags(t *testing.T) {
	t.Parallel()
	for recorded, commonNames := range map[recordedBag][]string{
		{"charmlibs-1.10-unit", "app/0"}:         {"app-0.example.com"},
		{"charmlibs-1.10-app-and-unit", "app"}:   {"app.example.com"},
		{"charmlibs-1.10-app-and-unit", "app/0"}: {"app-0.example.com"},
		{"tls-certificates-lib-v3-unit", "app/0"}: {
			"app-0-0.example.com", "app-0-1.example.com",
		},
		{"tls-certificates-requirer-charm", "tls-requirer/0"}: {
			"cert-0.unit-0.tls-requirer.harness", "cert-1.unit-0.tls-requirer.harness",
		},
		{"tls-certificates-requirer-charm", "tls-requirer/1"}: {
			"cert-0.unit-1.tls-requirer.harness", "cert-1.unit-1.tls-requirer.harness",
		},
	} {
		t.Run(recorded.file+" "+recorded.owner, func(t *testing.T) {
			t.Parallel()
			bag := readBag(t, recorded)
			unit := tlscertificates.ParseUnitBag(bag)
			require.True(t, unit.SpeaksCSR)
			require.Nil(t, unit.Legacy)
			require.Empty(t, unit.Problems)
			application := tlscertificates.ParseApplicationBag(bag)
			require.Equal(t, tlscertificates.ApplicationRequests{SpeaksCSR: true, CSR: unit.CSR}, application)

			var got []string
			for _, request := range unit.CSR {
				require.False(t, request.CA)
				asWritten := `"` + strings.ReplaceAll(request.CSR, "\n", `\n`) + `"`
				require.Contains(t, bag[tlscertificates.KeyCSRs], asWritten)
				block, rest := pem.Decode([]byte(request.CSR))
				require.NotNil(t, block)
				require.Empty(t, rest)
				csr, err := x509.ParseCertificateRequest(block.Bytes)
				require.NoError(t, err)
				got = append(got, csr.Subject.CommonName)
			}
			require.Equal(t, commonNames, got)
		})
	}
}

// A unit that wrote nothing shows no dialect: the global client key must not be
// published for it.
func TestRecordedSilentBags(t *testing.T) {
	t.Parallel()
	for _, recorded := range []recordedBag{
		{"charmlibs-1.10-app-and-unit", "app/1"},
		{"charmlibs-1.10-app-and-unit", "app/2"},
		{"charmlibs-1.10-unit", "app"},
		{"kubernetes-control-plane-ops", "kubernetes-control-plane"},
		{"kubernetes-worker-ops", "kubernetes-worker"},
		{"reactive-application", "haproxy"},
		{"reactive-server-and-client", "etcd"},
		{"tls-certificates-lib-v3-unit", "app"},
		{"tls-certificates-requirer-charm", "tls-requirer"},
	} {
		t.Run(recorded.file+" "+recorded.owner, func(t *testing.T) {
			t.Parallel()
			bag := readBag(t, recorded)
			require.Equal(t, tlscertificates.UnitRequests{}, tlscertificates.ParseUnitBag(bag))
			require.Equal(t, tlscertificates.ApplicationRequests{}, tlscertificates.ParseApplicationBag(bag))
		})
	}
}

// A recording that is added belongs into one of the tables above.
func TestNoRecordingIsLeftOut(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.Len(t, files, 8)
}
