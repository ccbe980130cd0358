// SPDX-License-Identifier: GPL-3.0-only

package heavy_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
	"tls-authority/internal/operator"
)

// TestThreeHundredUnitsJoin has a fleet of the legacy dialect join, each unit
// with an RSA key to be made. Juju never asks for the status meanwhile.
func TestThreeHundredUnitsJoin(t *testing.T) {
	const units = 300
	m, err := jujusim.New(jujusim.Options{Program: func(ctx context.Context, environ []string, _ string, _, stderr io.Writer) int {
		return operator.Dispatch(ctx, environ, time.Now, stderr)
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	require.NoError(t, m.Deploy(charmPath(t), "ca", 1))
	require.NoError(t, m.Configure("ca", map[string]any{"key-type": "rsa-2048", "status-port": 0}))
	require.NoError(t, m.Settle())
	require.NoError(t, m.AddStandIn("app", units))
	relation, err := m.Relate("ca:certificates", "app:certificates")
	require.NoError(t, err)
	for i := range units {
		require.NoError(t, m.SetBag(relation, fmt.Sprintf("app/%d", i), map[string]string{
			"unit_name": fmt.Sprintf("app_%d", i), "common_name": fmt.Sprintf("app-%d", i), "sans": "[]", "certificate_name": fmt.Sprint(i),
		}))
	}
	for ran := true; ran; {
		ran, err = m.Step()
		require.NoError(t, err)
	}
	served := 0
	for key := range m.Bag(relation, "ca/0") {
		if strings.HasSuffix(key, ".server.cert") {
			served++
		}
	}
	require.Equal(t, units, served)
	for _, run := range m.Hooks() {
		require.NotEqual(t, "update-status", run.Hook)
		require.Zero(t, run.ExitCode)
	}
}
