// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
)

// authoritySecrets are the labels of the secrets that hold a CA.
func (s *site) authoritySecrets() []string {
	var labels []string
	for _, secret := range s.Secrets() {
		if strings.HasPrefix(secret.Label, "ca-") {
			labels = append(labels, secret.Label)
		}
	}
	return labels
}

func TestOneCASecretOwnedByTheApplication(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	require.Equal(t, []string{"ca-1"}, s.authoritySecrets())
	secret := s.Secrets()[0]
	require.Equal(t, charm, secret.Owner)
	content := s.SecretContent(secret.ID)
	require.Contains(t, content["private-key"], "-----BEGIN PRIVATE KEY-----")
	for name, value := range content {
		require.Less(t, len(value), 8<<10, "agents up to 3.6.8 refuse larger values: %s", name)
	}
	require.Equal(t, s.root(), parseOne(t, content["certificate"]))
	for _, run := range s.Hooks() {
		for _, call := range run.Calls {
			if call.Tool == "secret-add" {
				require.Contains(t, strings.Join(call.Args, " "), "private-key#file=/", "content goes by file, never by argument")
			}
		}
	}
}

// TestAFailedReadCreatesNoCA is the rule that a CA charm must not break: what
// cannot be read may be there.
func TestAFailedReadCreatesNoCA(t *testing.T) {
	t.Parallel()
	failures := map[string]jujusim.Intervention{
		"permission denied":           {Verdict: jujusim.Fail, Stderr: "permission denied"},
		"a controller that is away":   {Verdict: jujusim.Fail, Stderr: "cannot reach the controller: dial tcp 10.0.0.1:17070: no route to host"},
		"a backend that is not there": {Verdict: jujusim.Fail, Stderr: `getting secret backend: host "vault" not found`},
		"a usage error":               {Verdict: jujusim.Fail, Code: 2, Stderr: "option provided but not defined: --label"},
	}
	for name, failure := range failures {
		for _, tool := range []string{"secret-get", "secret-info-get"} {
			t.Run(name+" of "+tool, func(t *testing.T) {
				t.Parallel()
				s := newModel(t, jujusim.Options{}, 1)
				s.Intervene(func(call jujusim.Call) jujusim.Intervention {
					if call.Tool == tool {
						return failure
					}
					return jujusim.Intervention{}
				})
				require.Error(t, s.Settle(), "the hook must fail")
				require.Empty(t, s.Secrets())
				require.Empty(t, s.peerBag()["ca"])

				s.Intervene(nil)
				s.settle()
				require.Equal(t, []string{"ca-1"}, s.authoritySecrets(), "the retry makes the one CA")
			})
		}
	}
}

// TestAFailedReadOfAKnownCA is the same for a CA that the model knows: no new
// one, and no certificate.
func TestAFailedReadOfAKnownCA(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]jujusim.Intervention{
		"not found":         {Verdict: jujusim.Fail, Stderr: `consumer label "ca-1" not found`},
		"permission denied": {Verdict: jujusim.Fail, Stderr: "permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, jujusim.Options{}, 1)
			root, before := s.root(), s.peerBag()
			s.Intervene(func(call jujusim.Call) jujusim.Intervention {
				if call.Tool == "secret-get" {
					return failure
				}
				return jujusim.Intervention{}
			})
			require.NoError(t, s.AddStandIn("etcd", 1))
			relation, err := s.Relate(charm+":certificates", "etcd:certificates")
			require.NoError(t, err)
			require.NoError(t, s.SetBag(relation, "etcd/0", etcdBags(1)["etcd/0"]))
			require.Error(t, s.Settle())
			require.Equal(t, before, s.peerBag())
			require.Equal(t, []string{"ca-1"}, s.authoritySecrets())

			s.Intervene(nil)
			s.settle()
			require.Equal(t, root, s.root())
			requireServer(t, root, serverPair(s.legacy(relation), "etcd_0").leaf(t))
		})
	}
}

// peerBag is the application databag of the peer relation.
func (s *site) peerBag() map[string]string {
	for relation := range 10 {
		bag := s.Bag(relation, charm)
		if bag["ca"] != "" {
			return bag
		}
	}
	return map[string]string{}
}

// TestALostCommitAdoptsTheSameKey: Juju 3 stores secrets before databags, and
// an agent may die in between.
func TestALostCommitAdoptsTheSameKey(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]jujusim.CommitFault{
		"the commit is refused":            jujusim.RefuseCommit,
		"the agent dies within the commit": jujusim.AgentDies,
		"the agent dies after the commit":  jujusim.AgentDiesAfter,
	} {
		for _, version := range []string{"3.5.4", "3.6.11", "4.1"} {
			t.Run(name+" of juju "+version, func(t *testing.T) {
				t.Parallel()
				s := newModel(t, jujusim.Options{Version: version}, 1)
				faults := 0
				s.FailCommit(func(run jujusim.HookRun) jujusim.CommitFault {
					for _, call := range run.Calls {
						if call.Tool == "secret-add" && faults == 0 {
							faults++
							return fault
						}
					}
					return jujusim.NoFault
				})
				err := s.Settle()
				if fault != jujusim.AgentDiesAfter {
					require.Error(t, err)
				}
				require.Equal(t, 1, faults)
				stored := s.Secrets()
				s.settle()
				s.settle()
				require.Equal(t, []string{"ca-1"}, s.authoritySecrets())
				if len(stored) > 0 {
					require.Equal(t, parseOne(t, s.SecretContent(stored[0].ID)["certificate"]), s.root(), "the key that was stored is the one in use")
				}
				relation := s.relate("etcd", etcdBags(1))
				requireServer(t, s.root(), serverPair(s.legacy(relation), "etcd_0").leaf(t))
			})
		}
	}
}

// TestTheKeyIsReadOnlyToSign keeps the CA's key out of every hook that signs
// nothing.
func TestTheKeyIsReadOnlyToSign(t *testing.T) {
	t.Parallel()
	s := newSite(t, jujusim.Options{}, 1)
	s.relate("etcd", etcdBags(2))
	since := len(s.Hooks())
	require.NoError(t, s.UpdateStatus(charm+"/0"))
	_, err := s.RunAction(charm+"/0", "list-certificates", nil)
	require.NoError(t, err)
	for _, run := range s.Hooks()[since:] {
		for _, call := range run.Calls {
			require.NotEqual(t, "secret-get", call.Tool, run.Hook)
		}
	}
}
