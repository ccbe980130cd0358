// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// simulator builds cmd/jujusim once.
var simulator = sync.OnceValues(func() (string, error) {
	program := filepath.Join(scratch, "jujusim")
	text, err := exec.Command("go", "build", "-o", program, root+"/cmd/jujusim").CombinedOutput()
	if err != nil {
		return string(text), err
	}
	return program, nil
})

// runDemo runs the demo as `make demo` does and returns what it prints.
func runDemo(t *testing.T, args ...string) string {
	t.Helper()
	program, err := simulator()
	require.NoError(t, err, program)
	cmd := exec.Command(program, append([]string{"demo", "--charm", charmPath(t)}, args...)...)
	var failure strings.Builder
	cmd.Stderr = &failure
	text, err := cmd.Output()
	require.NoError(t, err, failure.String())
	return string(text)
}

func TestDemoShowsCertificatesAndHandshakes(t *testing.T) {
	t.Parallel()
	text := runDemo(t, "--json")
	require.NotContains(t, text, "PRIVATE KEY")
	var report struct {
		Events []struct {
			Unit  string `json:"unit"`
			Event string `json:"event"`
			Calls int    `json:"hook-tool-calls"`
		} `json:"events"`
		Authority    string `json:"ca-certificate"`
		Certificates []struct {
			Owner       string   `json:"owner"`
			Kind        string   `json:"kind"`
			CommonName  string   `json:"common-name"`
			Names       []string `json:"names"`
			Certificate string   `json:"certificate"`
		} `json:"certificates"`
		Handshakes []struct {
			Name     string `json:"name"`
			Accepted bool   `json:"accepted"`
			Detail   string `json:"detail"`
		} `json:"handshakes"`
		Revocation struct {
			Before      string `json:"ocsp-before"`
			After       string `json:"ocsp-after"`
			Listed      bool   `json:"on-the-list"`
			Replacement string `json:"ocsp-of-the-replacement"`
		} `json:"revocation"`
		Rotation struct {
			Stages []struct {
				Stage      string `json:"stage"`
				Hooks      int    `json:"hooks"`
				Handshakes int    `json:"handshakes"`
			} `json:"stages"`
			Handshakes int `json:"handshakes"`
			Failures   int `json:"failures"`
		} `json:"rotation"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &report))
	require.Equal(t, "install", report.Events[0].Event)
	require.Equal(t, "good", report.Revocation.Before)
	require.Equal(t, "revoked", report.Revocation.After)
	require.True(t, report.Revocation.Listed)
	require.Equal(t, "good", report.Revocation.Replacement)
	require.Greater(t, len(report.Events), 10)
	root := parseOne(t, report.Authority)

	var got []string
	for _, c := range report.Certificates {
		got = append(got, c.Owner+" "+c.CommonName)
		leaf := parseOne(t, c.Certificate)
		require.Equal(t, leaf.Subject.CommonName, c.CommonName)
		if c.Kind == "client" {
			requireClient(t, root, leaf)
			continue
		}
		requireServer(t, root, leaf)
		if !strings.HasPrefix(c.Owner, "web") {
			require.Subset(t, c.Names, []string{"api.example.com", "10.0.0.100"}, "extra_sans reach every legacy server certificate")
		}
	}
	slices.Sort(got)
	require.Equal(t, []string{
		"etcd/0 10.0.1.1", "etcd/1 10.0.1.2", "etcd/2 10.0.1.3",
		"every legacy unit client",
		"kubernetes-control-plane/0 10.0.0.5", "kubernetes-control-plane/0 system:kube-apiserver",
		"web web.example.com", "web/0 web-0.example.com", "web/1 web-1.example.com",
	}, got)

	require.Len(t, report.Handshakes, 3)
	require.True(t, report.Handshakes[0].Accepted, report.Handshakes[0].Detail)
	require.False(t, report.Handshakes[1].Accepted)
	require.Contains(t, report.Handshakes[1].Detail, "didn't provide a certificate")
	require.False(t, report.Handshakes[2].Accepted)
	require.Contains(t, report.Handshakes[2].Detail, "incompatible key usage")

	var stages []string
	for _, stage := range report.Rotation.Stages {
		stages = append(stages, stage.Stage)
		require.Positive(t, stage.Hooks)
		require.Positive(t, stage.Handshakes)
	}
	require.Equal(t, []string{"distributing", "issuing", "flipping", "retiring", "none"}, stages)
	require.Greater(t, report.Rotation.Handshakes, 100)
	require.Zero(t, report.Rotation.Failures)
}

func TestDemoIsPlainTextWhenPiped(t *testing.T) {
	t.Parallel()
	text := runDemo(t, "--juju", "4.1", "--seed", "7")
	require.NotContains(t, text, "\x1b[")
	require.NotContains(t, text, "PRIVATE KEY")
	for _, line := range []string{"certificates-relation-changed", "active", "system:kube-apiserver", "accepted", "refused", "handshakes while the CA was replaced, 0 failed"} {
		require.Contains(t, text, line)
	}
	require.NotContains(t, text, "which is wrong")
}
