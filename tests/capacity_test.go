// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// bagLimit is what Juju lets a databag hold, in bytes.
const bagLimit = 16 << 20

// TestAFullDatabagRefusesWhatIsNew fills one relation with the largest requests
// that are allowed.
func TestAFullDatabagRefusesWhatIsNew(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	const units, requests = 2, 210
	bags := map[string]map[string]string{}
	var all []string
	for unit := range units {
		var csrs []string
		for i := range requests {
			csr, _ := newCSR(t, func(r *x509.CertificateRequest) {
				r.Subject.CommonName = fmt.Sprintf("app-%d-%d.example.com", unit, i)
				for n := range 190 {
					r.DNSNames = append(r.DNSNames, fmt.Sprintf("name-%d-%d-%d.%s.example.com", unit, i, n, strings.Repeat("x", 30)))
				}
			})
			csrs = append(csrs, csr)
		}
		all = append(all, csrs...)
		bags[fmt.Sprintf("app/%d", unit)] = csrBag(t, csrs...)
	}
	s.Pass(func(run jujusim.HookRun) bool { return strings.HasPrefix(run.Hook, "certificates-relation-") })
	full := s.relate("app", bags)
	s.Pass(nil)
	require.NoError(t, s.Queue(charm+"/0", "config-changed"))
	s.settle()
	answers, errors := s.answers(full), s.errors(full)
	require.NotEmpty(t, errors, "not all of it fits")
	size := 0
	for key, value := range s.Bag(full, charm) {
		size += len(key) + len(value)
	}
	require.Less(t, size, bagLimit)
	require.Greater(t, size, bagLimit*8/10, "the room is used")
	for _, csr := range all {
		_, answered := answers[csr]
		e, refused := errors[csr]
		require.False(t, answered && refused)
		if refused {
			require.Equal(t, 201, e.Error.Code)
		}
	}
	require.Contains(t, s.statusOf(charm+"/0"), "full")

	t.Run("the others are served", func(t *testing.T) {
		csr, _ := newCSR(t, named("other.example.com"))
		other := s.relate("other", map[string]map[string]string{"other/0": csrBag(t, csr)})
		require.Contains(t, s.answers(other), csr)
	})
	t.Run("what was refused is served when there is room", func(t *testing.T) {
		require.NoError(t, s.RemoveUnit("app/0"))
		s.settle()
		require.NoError(t, s.UpdateStatus(charm+"/0"))
		s.settle()
		require.Empty(t, s.errors(full))
		require.Len(t, s.answers(full), (units-1)*requests)
	})
	for _, run := range s.Hooks() {
		require.Zero(t, run.ExitCode, run.Hook)
	}
}

// TestAFleetOfRSAKeysIsServedHookByHook has more requests in one sweep than one
// hook makes keys for: the record wakes the unit until all have theirs.
func TestAFleetOfRSAKeysIsServedHookByHook(t *testing.T) {
	t.Parallel()
	const units = 50
	s := newModel(t, jujusim.Options{}, 1)
	require.NoError(t, s.Configure(charm, map[string]any{"key-type": "rsa-2048"}))
	s.settle()
	require.NoError(t, s.AddStandIn("app", units))
	relation, err := s.Relate(charm+":certificates", "app:certificates")
	require.NoError(t, err)
	for i := range units {
		require.NoError(t, s.SetBag(relation, fmt.Sprintf("app/%d", i), map[string]string{
			"unit_name": fmt.Sprintf("app_%d", i), "common_name": fmt.Sprintf("app-%d", i), "sans": "[]", "certificate_name": fmt.Sprint(i),
		}))
	}
	s.Pass(func(run jujusim.HookRun) bool { return strings.HasPrefix(run.Hook, "certificates-relation-") })
	s.settle()
	s.Pass(nil)
	require.NoError(t, s.Queue(charm+"/0", "config-changed"))
	since := len(s.Hooks())
	s.settle()
	served := 0
	for key := range s.legacy(relation) {
		if strings.HasSuffix(key, ".server.cert") {
			served++
		}
	}
	require.Equal(t, units, served)
	signing := 0
	for _, run := range s.Hooks()[since:] {
		require.NotEqual(t, "update-status", run.Hook)
		for _, call := range run.Calls {
			if call.Tool == "secret-get" {
				signing++
			}
		}
	}
	require.Equal(t, 2, signing, "one hook makes 48 RSA keys at most")
}
