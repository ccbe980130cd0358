// SPDX-License-Identifier: GPL-3.0-only

package juju_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
)

const hidden = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHRlc3Q=\n-----END PRIVATE KEY-----\n"

func newSecret() juju.Secret {
	return juju.Secret{
		Label:       "-ca-1",
		Description: "--the key of generation 1",
		Content:     map[string][]byte{"private-key": []byte(hidden), "certificate": []byte("cert\n")},
	}
}

// seen is what secret-add finds in the place of one file it is given.
type seen struct {
	folder     string
	folderMode os.FileMode
	fileMode   os.FileMode
	content    string
}

// look reads the files of secret-add's arguments, as the agent does.
func look(args []string) (files map[string]seen, err error) {
	files = map[string]seen{}
	for _, arg := range args {
		key, path, isFile := strings.Cut(arg, "#file=")
		if !isFile {
			continue
		}
		file, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		folder, err := os.Stat(filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files[key] = seen{filepath.Dir(path), folder.Mode(), file.Mode(), string(content)}
	}
	return files, nil
}

func TestAddSecretKeepsContentInFilesOfTheCall(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		var files map[string]seen
		a := startAgent(t, func(request juju.Request) juju.Response {
			if request.CommandName != "secret-add" {
				return says("true\n")
			}
			var err error
			files, err = look(request.Args)
			if err != nil {
				return fails(1, err.Error())
			}
			return says("secret://" + modelUUID + "/cd88u16ffbaql5kgmlh0\n")
		})
		runner, _ := connect(t, transport, a)
		scratch := t.TempDir()

		id, err := juju.NewClient(runner, scratch).AddSecret(context.Background(), newSecret())
		require.NoError(t, err)
		require.Equal(t, juju.SecretID("cd88u16ffbaql5kgmlh0"), id)

		folder := files["private-key"].folder
		require.Equal(t, scratch, filepath.Dir(folder))
		require.Equal(t, map[string]seen{
			"private-key": {folder, os.ModeDir | 0o700, 0o600, hidden},
			"certificate": {folder, os.ModeDir | 0o700, 0o600, "cert\n"},
		}, files)
		require.Empty(t, entries(t, scratch), "nothing is left")

		calls := a.calls(t, transport)
		require.Len(t, calls, 1)
		require.Equal(t, []string{
			"--label=-ca-1",
			"--description=--the key of generation 1",
			"certificate#file=" + filepath.Join(folder, "certificate"),
			"private-key#file=" + filepath.Join(folder, "private-key"),
		}, calls[0].Args)
		require.False(t, calls[0].StdinSet)
	})
}

func TestAddSecretLeavesNothingBehindWhenItFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer func(a *agent, cancel func()) juju.Response
		is     error
	}{
		"the tool fails": {
			answer: func(*agent, func()) juju.Response { return fails(1, "this unit is not the leader") },
			is:     juju.ErrNotLeader,
		},
		"the answer is no secret id": {
			answer: func(*agent, func()) juju.Response { return says("done\n") },
		},
		"the hook is cancelled": {
			answer: func(_ *agent, cancel func()) juju.Response {
				cancel()
				return fails(1, "too late")
			},
		},
		"the connection is lost": {
			answer: func(a *agent, _ func()) juju.Response {
				a.hangUp()
				return says("")
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachTransport(t, func(t *testing.T, transport string) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var a *agent
				a = startAgent(t, func(request juju.Request) juju.Response {
					if request.CommandName != "secret-add" {
						return says("true\n")
					}
					return test.answer(a, cancel)
				})
				runner, _ := connect(t, transport, a)
				scratch := t.TempDir()

				id, err := juju.NewClient(runner, scratch).AddSecret(ctx, newSecret())
				require.ErrorContains(t, err, `cannot add secret "-ca-1": `)
				require.NotContains(t, err.Error(), "MC4CAQ")
				require.Empty(t, id)
				if test.is != nil {
					require.ErrorIs(t, err, test.is)
				}
				require.Empty(t, entries(t, scratch))
				for _, call := range a.calls(t, transport) {
					require.NotContains(t, strings.Join(call.Args, " "), "MC4CAQ")
				}
			})
		})
	}
}

func TestAddSecretRefusesKeysThatAreNoFileNames(t *testing.T) {
	t.Parallel()
	client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
		return nil, errors.New("called " + c.Name)
	}), t.TempDir())
	for _, key := range []string{"", "ab", "../key", "Key", "a--b", "key-", "a_key", "key\n"} {
		_, err := client.AddSecret(context.Background(), juju.Secret{
			Label:   "ca-1",
			Content: map[string][]byte{key: []byte(hidden)},
		})
		require.ErrorContains(t, err, "is not a key for secret content", "%q", key)
		require.NotContains(t, err.Error(), "MC4CAQ")
	}
}

func TestAddSecretWithoutAPlaceToWrite(t *testing.T) {
	t.Parallel()
	client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
		return nil, errors.New("called " + c.Name)
	}), filepath.Join(t.TempDir(), "missing"))
	_, err := client.AddSecret(context.Background(), newSecret())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NotErrorIs(t, err, juju.ErrNotFound)
}

func TestAddSecretPrefersMemory(t *testing.T) {
	t.Parallel()
	want := os.TempDir()
	probe, err := os.MkdirTemp("/dev/shm", "j")
	if err == nil {
		want = "/dev/shm"
		require.NoError(t, os.Remove(probe))
	}
	var folder string
	client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
		files, err := look(c.Args)
		folder = files["private-key"].folder
		return []byte("secret:cd88u16ffbaql5kgmlh0\n"), err
	}), "")
	_, err = client.AddSecret(context.Background(), newSecret())
	require.NoError(t, err)
	require.Equal(t, want, filepath.Dir(folder))
	require.NoDirExists(t, folder)
}

func TestRemoveSecretFindsItsIDByTheLabel(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		a := startAgent(t, func(request juju.Request) juju.Response {
			if request.CommandName == "secret-info-get" {
				return says(`{"cd88u16ffbaql5kgmlh0":{"revision":3,"label":"-ca-1","owner":"application"}}` + "\n")
			}
			return says("")
		})
		runner, _ := connect(t, transport, a)
		require.NoError(t, juju.NewClient(runner, "").RemoveSecret(context.Background(), "-ca-1"))
		calls := a.calls(t, transport)
		require.Len(t, calls, 2)
		require.Equal(t, []string{"--format", "json", "--label=-ca-1"}, calls[0].Args)
		require.Equal(t, "secret-remove", calls[1].CommandName)
		require.Equal(t, []string{"secret:cd88u16ffbaql5kgmlh0"}, calls[1].Args, "no revision: all of them")
	})
}

func TestRemoveSecretTouchesNothingItCannotFind(t *testing.T) {
	t.Parallel()
	for answer, cause := range map[string]error{
		`secret "ca-1" not found`: juju.ErrNotFound,
		"permission denied":       juju.ErrDenied,
	} {
		client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
			require.Equal(t, "secret-info-get", c.Name)
			return nil, &juju.Error{Command: c.Name, Code: 1, Message: answer}
		}), "")
		err := client.RemoveSecret(context.Background(), "ca-1")
		require.ErrorIs(t, err, cause)
		require.ErrorContains(t, err, `cannot remove secret "ca-1": `)
	}
}

func TestRemoveSecretByAFormerLeader(t *testing.T) {
	t.Parallel()
	client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
		if c.Name == "secret-info-get" {
			return []byte(`{"cd88u16ffbaql5kgmlh0":{"revision":1}}`), nil
		}
		return nil, &juju.Error{Command: c.Name, Code: 1, Message: "this unit is not the leader"}
	}), "")
	err := client.RemoveSecret(context.Background(), "ca-1")
	require.ErrorIs(t, err, juju.ErrNotLeader)
	require.EqualError(t, err, `cannot remove secret "ca-1": cannot run secret-remove: this unit is not the leader (exit status 1)`)
}

// Each failure has a remedy of its own, or none.
func TestReadUserSecretTellsFailuresApart(t *testing.T) {
	t.Parallel()
	sentinels := []error{juju.ErrDenied, juju.ErrNotFound, juju.ErrNotLeader}
	for message, want := range map[string]error{
		"permission denied":                                             juju.ErrDenied,
		`secret "cd88u16ffbaql5kgmlh0" not found`:                       juju.ErrNotFound,
		`secret revision "cd88u16ffbaql5kgmlh0-1" not found`:            nil,
		"dial unix agent.socket: connect: permission denied":            nil,
		"cannot reach the controller: connection is shut down":          nil,
		`secret backend "vault" not found`:                              nil,
		`secret revision 1 for secret "cd88u16ffbaql5kgmlh0" not found`: nil,
	} {
		client := juju.NewClient(runnerFunc(func(c juju.Command) ([]byte, error) {
			require.Equal(t, []string{"--format", "json", "--refresh", "secret:cd88u16ffbaql5kgmlh0"}, c.Args)
			return nil, &juju.Error{Command: c.Name, Code: 1, Message: message}
		}), "")
		_, err := client.ReadUserSecret(context.Background(), "cd88u16ffbaql5kgmlh0")
		require.ErrorContains(t, err, message)
		for _, sentinel := range sentinels {
			require.Equal(t, sentinel == want, errors.Is(err, sentinel), "%q is %v", message, sentinel)
		}
	}
}

func entries(t *testing.T, folder string) []os.DirEntry {
	t.Helper()
	found, err := os.ReadDir(folder)
	require.NoError(t, err)
	return found
}
