// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// TestWhatOneUnitDoesLeavesItsSiblings moves one unit after the other; each
// hook looks at that unit alone.
func TestWhatOneUnitDoesLeavesItsSiblings(t *testing.T) {
	t.Parallel()
	t.Run("a refusal stays until its own unit asks no more", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, jujusim.Options{}, 1)
		denied, _ := newCSR(t, named("system:kube-scheduler"))
		good, _ := newCSR(t, named("good.example.com"))
		relation := s.relate("app", map[string]map[string]string{"app/0": csrBag(t, denied), "app/1": csrBag(t, denied)})
		require.Contains(t, s.errors(relation), denied)
		status := s.statusOf(charm + "/0")

		s.show(relation, "app/1", csrBag(t, denied, good))
		require.Contains(t, s.errors(relation), denied)
		require.Contains(t, s.answers(relation), good)
		s.show(relation, "app/1", csrBag(t, good))
		require.Contains(t, s.errors(relation), denied, "the other unit shows it still")
		require.Contains(t, s.statusOf(charm+"/0"), "denied")
		require.Contains(t, status, "denied")
		s.show(relation, "app/0", csrBag(t))
		require.Empty(t, s.errors(relation))
		require.NotContains(t, s.statusOf(charm+"/0"), "denied")
		require.Contains(t, s.answers(relation), good)
	})
	t.Run("an answer stays until the last of those who show its request has left", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, jujusim.Options{}, 1)
		csr, _ := newCSR(t, named("shared.example.com"))
		relation := s.relate("app", map[string]map[string]string{"app": csrBag(t, csr), "app/0": csrBag(t, csr), "app/1": csrBag(t, csr)})
		before := s.answers(relation)[csr]
		s.show(relation, "app", csrBag(t))
		s.show(relation, "app/0", csrBag(t))
		require.Equal(t, before, s.answers(relation)[csr])
		require.NoError(t, s.RemoveUnit("app/1"))
		s.settle()
		require.Empty(t, s.answers(relation))
	})
	t.Run("the shared certificate has the names of those who share it", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, jujusim.Options{}, 1)
		require.NoError(t, s.Configure(charm, map[string]any{"key-type": "ecdsa-p256"}))
		bag := func(unit int, names ...string) map[string]string {
			sans, err := json.Marshal(names)
			require.NoError(t, err)
			return map[string]string{"unit_name": fmt.Sprintf("app_%d", unit), "application_cert_requests": fmt.Sprintf(`{"vip.example.com": {"sans": %s}}`, sans)}
		}
		relation := s.relate("app", map[string]map[string]string{"app/0": bag(0, "a.example.com"), "app/1": bag(1, "b.example.com")})
		names := func() []string {
			var answer struct {
				Data struct{ Cert string } `json:"app_data"`
			}
			require.NoError(t, json.Unmarshal([]byte(s.legacy(relation)["app_1.processed_application_requests"]), &answer))
			return parseOne(t, answer.Data.Cert).DNSNames
		}
		require.ElementsMatch(t, []string{"vip.example.com", "a.example.com", "b.example.com"}, names())
		s.show(relation, "app/0", bag(0, "c.example.com"))
		require.ElementsMatch(t, []string{"vip.example.com", "b.example.com", "c.example.com"}, names())
		require.NoError(t, s.RemoveUnit("app/0"))
		s.settle()
		require.ElementsMatch(t, []string{"vip.example.com", "b.example.com"}, names())
	})
}

// show replaces what an owner's databag has and settles.
func (s *site) show(relation int, owner string, bag map[string]string) {
	s.t.Helper()
	require.NoError(s.t, s.SetBag(relation, owner, bag))
	s.settle()
}
