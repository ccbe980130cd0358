// SPDX-License-Identifier: GPL-3.0-only

package life_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"tls-authority/internal/jujusim"
	"tls-authority/tests/life"
)

// jujus are the seeds under which a life has the versions of Juju that commit
// in different ways: before 4, secrets are stored before the databags.
var jujus = map[string]uint64{"3.5.4": 0, "4.1": 2}

// caSecrets are the labels of the keys of CAs, sorted.
func caSecrets(l *life.Life) []string {
	var labels []string
	for _, s := range l.Model.Secrets() {
		if strings.HasPrefix(s.Label, "ca-") {
			labels = append(labels, s.Label)
		}
	}
	slices.Sort(labels)
	return labels
}

// rootOf is the root that the charm tells to trust.
func rootOf(t *testing.T, l *life.Life) string {
	t.Helper()
	result, err := l.Act("get-ca-certificate", nil)
	require.NoError(t, err)
	root, _ := result.Results["ca-certificate"].(string)
	require.NotEmpty(t, root)
	return root
}

// lock adds the user secret that seals and opens backups.
func lock(t *testing.T, l *life.Life, identity string) (id string) {
	t.Helper()
	uri, err := l.Model.AddUserSecret("lock", map[string]string{"identity": identity})
	require.NoError(t, err)
	require.NoError(t, l.Model.GrantUserSecret(uri, life.Application))
	return strings.TrimPrefix(uri, "secret:")
}

// backUp writes a backup and returns what restore needs to read it, and what
// opens it in another model.
func backUp(t *testing.T, l *life.Life) (parameters map[string]any, identity string) {
	t.Helper()
	generated, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	secret, folder := lock(t, l, generated.String()), t.TempDir()
	_, err = l.Act("backup", map[string]any{"secret": secret, "directory": folder})
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(folder, "*.age"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return map[string]any{"secret": secret, "file": files[0], "force": true}, generated.String()
}

// newLife is a model at rest with requirers of both dialects.
func newLife(t *testing.T, seed uint64) *life.Life {
	t.Helper()
	l, err := life.New(charmPath(t), seed)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	require.NoError(t, l.Crowd())
	require.NoError(t, l.Rest())
	return l
}

// settle runs hooks without asking for a model in order: a key may have no
// record yet.
func settle(t *testing.T, l *life.Life) {
	t.Helper()
	for range 3 {
		require.NoError(t, l.Model.Settle())
		require.NoError(t, l.Model.UpdateStatus(l.Model.Leader(life.Application)))
	}
	require.NoError(t, l.Model.Settle())
}

// refuseOnce lets the controller refuse the next commit that writes.
func refuseOnce(l *life.Life) {
	refused := false
	l.Model.FailCommit(func(run jujusim.HookRun) jujusim.CommitFault {
		if refused || run.Writes == 0 {
			return jujusim.NoFault
		}
		refused = true
		return jujusim.RefuseCommit
	})
}

func TestARestoreWhoseCommitIsRefused(t *testing.T) {
	t.Parallel()
	for version, seed := range jujus {
		t.Run("the old CA goes on and the restore can be repeated, Juju "+version, func(t *testing.T) {
			t.Parallel()
			l := newLife(t, seed)
			parameters, _ := backUp(t, l)
			before, serials, root := caSecrets(l), l.Published(), rootOf(t, l)
			require.Equal(t, []string{"ca-1"}, before)

			refuseOnce(l)
			result, err := l.Act("restore", parameters)
			require.Error(t, err)
			require.Equal(t, "failed", result.Status)
			require.Contains(t, caSecrets(l), "ca-1", "the key in service is not destroyed")
			l.Model.FailCommit(nil)
			settle(t, l)
			require.Equal(t, serials, l.Published(), "nothing was issued anew")
			require.Equal(t, root, rootOf(t, l))
			require.NoError(t, l.Fleet(true, 1))
			require.NoError(t, l.Fleet(false, 1))
			settle(t, l)
			require.Len(t, l.Published(), len(serials)+2, "new requirers are served")

			_, err = l.Act("restore", parameters)
			require.NoError(t, err)
			l.Forget()
			require.NoError(t, l.Rest())
			after := caSecrets(l)
			require.Len(t, after, 1, "no key stays that nobody knows")
			require.NotEqual(t, before, after)
			require.NoError(t, l.Fleet(true, 1))
			require.NoError(t, l.Rest())
		})
	}
}

func TestAnActionThatCannotWriteCommitsNothing(t *testing.T) {
	t.Parallel()
	for version, seed := range jujus {
		t.Run("Juju "+version, func(t *testing.T) {
			t.Parallel()
			l := newLife(t, seed)
			restore, _ := backUp(t, l)
			require.NoError(t, l.SetOption("ca-source", "offline"))
			require.NoError(t, l.Rest())
			for action, parameters := range map[string]map[string]any{"restore": restore, "get-csr": {"new-key": true}} {
				secrets, bags := l.Model.Secrets(), l.Bags()
				made := false
				l.Model.Intervene(func(c jujusim.Call) jujusim.Intervention {
					made = made || c.Tool == "secret-add"
					if c.Tool == "relation-set" {
						return jujusim.Intervention{Verdict: jujusim.Fail, Stderr: "connection is shut down"}
					}
					return jujusim.Intervention{}
				})
				result, err := l.Act(action, parameters)
				l.Model.Intervene(nil)
				require.Error(t, err, action)
				require.True(t, made, "%s had made a secret", action)
				require.Equal(t, "failed", result.Status)
				require.Equal(t, "1", fmt.Sprint(result.Results["return-code"]), action)
				require.Equal(t, secrets, l.Model.Secrets(), action)
				require.Equal(t, bags, l.Bags(), action)
				require.NoError(t, l.Rest())
			}
			require.NoError(t, l.Fleet(true, 1))
			require.NoError(t, l.Rest())
			require.Equal(t, []string{"ca-1"}, caSecrets(l))
		})
	}
}

func TestARestoreIntoAnEmptyModelWhoseCommitIsRefused(t *testing.T) {
	t.Parallel()
	for version, seed := range jujus {
		t.Run("it can be repeated, Juju "+version, func(t *testing.T) {
			t.Parallel()
			old := newLife(t, seed)
			require.NoError(t, old.Rotate("emergency"))
			require.NoError(t, old.Rest())
			file, identity := backUp(t, old)
			root := rootOf(t, old)

			l, err := life.New(charmPath(t), seed)
			require.NoError(t, err)
			defer l.Close()
			require.NoError(t, l.SetOption("ca-source", "offline"))
			require.NoError(t, l.Model.Settle())
			parameters := map[string]any{"secret": lock(t, l, identity), "file": file["file"]}
			refuseOnce(l)
			_, err = l.Act("restore", parameters)
			require.Error(t, err)
			_, err = l.Act("restore", parameters)
			require.NoError(t, err)
			require.NoError(t, l.SetOption("ca-source", "self-signed"))
			require.NoError(t, l.Rest())
			require.Equal(t, root, rootOf(t, l))
			require.Len(t, caSecrets(l), 1)
			require.NoError(t, l.Crowd())
			require.NoError(t, l.Rest())
		})
	}
}

func TestARequestOfAnotherSourceDoesNotKeepACAFromBeingMade(t *testing.T) {
	t.Parallel()
	for version, seed := range jujus {
		for _, refused := range []bool{false, true} {
			t.Run(fmt.Sprintf("commit refused %t, Juju %s", refused, version), func(t *testing.T) {
				t.Parallel()
				l, err := life.New(charmPath(t), seed)
				require.NoError(t, err)
				defer l.Close()
				require.NoError(t, l.SetOption("ca-source", "offline"))
				require.NoError(t, l.Model.Settle())
				_, err = l.Act("get-csr", nil)
				require.NoError(t, err)
				require.NoError(t, l.Model.Settle())
				require.Equal(t, []string{"ca-1"}, caSecrets(l))

				require.NoError(t, l.SetOption("ca-source", "self-signed"))
				if refused {
					refuseOnce(l)
				}
				if refused {
					require.Error(t, l.Model.Settle())
					require.NoError(t, l.Model.Settle(), "the hook is repeated")
				}
				settle(t, l)
				rootOf(t, l)
				require.NoError(t, l.Crowd())
				settle(t, l)
				require.Len(t, l.Published(), 4)
				require.Equal(t, []string{"ca-2"}, caSecrets(l), "the key of the request is destroyed")
				require.NoError(t, l.Rest())
			})
		}
	}
}

func TestARequestThatWasNeverRecorded(t *testing.T) {
	t.Parallel()
	for version, seed := range jujus {
		t.Run("another source rotates over its key, Juju "+version, func(t *testing.T) {
			t.Parallel()
			l := newLife(t, seed)
			require.NoError(t, l.SetOption("ca-source", "offline"))
			require.NoError(t, l.Rest())
			refuseOnce(l)
			_, err := l.Act("get-csr", nil)
			require.Error(t, err)
			l.Model.FailCommit(nil)
			require.NoError(t, l.SetOption("ca-source", "self-signed"))
			settle(t, l)
			root := rootOf(t, l)
			require.NoError(t, l.Rotate("staged"))
			require.NoError(t, l.Rest())
			rotates, err := l.Rotates()
			require.NoError(t, err)
			require.False(t, rotates, l.Status())
			require.NotEqual(t, root, rootOf(t, l))
			require.Len(t, caSecrets(l), 1)
			require.NoError(t, l.Fleet(true, 1))
			require.NoError(t, l.Rest())
		})
	}
}
