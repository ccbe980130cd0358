// SPDX-License-Identifier: GPL-3.0-only

package juju_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
)

func TestUnitNameApplication(t *testing.T) {
	t.Parallel()
	require.Equal(t, "kubernetes-control-plane", juju.UnitName("kubernetes-control-plane/10").Application())
	require.Empty(t, juju.UnitName("").Application())
}

func TestParseRelationID(t *testing.T) {
	t.Parallel()
	got, err := juju.ParseRelationID("send-ca-cert:12")
	require.NoError(t, err)
	require.Equal(t, juju.RelationID{Endpoint: "send-ca-cert", Number: 12}, got)

	for _, text := range []string{
		"", ":", "certificates", "certificates:", ":3", "3", "certificates:-3", "certificates:+3", "certificates:03",
		"certificates:3 ", "certificates:3:4", "-r:3", "a b:3", "certificates:99999999999999999999",
	} {
		_, err := juju.ParseRelationID(text)
		require.Error(t, err, "%q", text)
	}
}

func TestParseSecretID(t *testing.T) {
	t.Parallel()
	const id = "cd88u16ffbaql5kgmlh0"
	for _, text := range []string{
		id, "secret:" + id, "secret:" + modelUUID + "/" + id, "secret://" + modelUUID + "/" + id,
	} {
		got, err := juju.ParseSecretID(text)
		require.NoError(t, err, "%q", text)
		require.Equal(t, juju.SecretID(id), got, "%q", text)
	}
	for _, text := range []string{
		"", "secret:", id[1:], id + "0", strings.ToUpper(id), id + "\n", "secret://" + id, "vault:" + id,
		"secret://example.com/" + id, "secret:" + id + "?name=x", "secret:" + id + "/1", modelUUID,
	} {
		_, err := juju.ParseSecretID(text)
		require.Error(t, err, "%q", text)
	}
}

func FuzzParseRelationID(f *testing.F) {
	for _, text := range []string{"certificates:3", "send-ca-cert:0", "a:01", ":1", "a:+1", "a:1:2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := juju.ParseRelationID(text)
		if err != nil {
			require.Zero(t, id)
			return
		}
		require.Equal(t, text, id.String())
	})
}

func FuzzParseSecretID(f *testing.F) {
	const id = "cd88u16ffbaql5kgmlh0"
	for _, text := range []string{id, "secret:" + id, "secret:" + modelUUID + "/" + id, "secret://" + modelUUID + "/" + id, "secret:///" + id} {
		f.Add(text)
	}
	bare := regexp.MustCompile(`^[0-9a-z]{20}$`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := juju.ParseSecretID(text)
		if err != nil {
			require.Empty(t, got)
			return
		}
		require.Regexp(t, bare, string(got))
		require.True(t, strings.HasSuffix(text, string(got)))
		again, err := juju.ParseSecretID(string(got))
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
