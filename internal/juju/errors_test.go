// SPDX-License-Identifier: GPL-3.0-only

package juju_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
)

// The texts are Juju's own of 3.5, 3.6 and 4.1, without "ERROR ".
func TestErrorRecognition(t *testing.T) {
	t.Parallel()
	var none error
	tests := map[string]struct {
		command string
		code    int
		message string
		want    error
	}{
		"unknown label up to 3.6": {
			"secret-get", 1, `consumer label "ca-1" not found`, juju.ErrNotFound,
		},
		"unknown label in 4.1": {
			"secret-get", 1, `secret URI for consumer label "ca-1" not found`, juju.ErrNotFound,
		},
		"unknown id": {
			"secret-get", 1, `secret "cd88u16ffbaql5kgmlh0" not found`, juju.ErrNotFound,
		},
		"unknown label asked for metadata": {
			"secret-info-get", 1, `secret "ca-1" not found`, juju.ErrNotFound,
		},
		"unknown label in the words of the 3.5 controller": {
			"secret-get", 1, `secret with label "ca-1" not found`, juju.ErrNotFound,
		},
		"unknown secret without a name": {
			"secret-get", 1, `getting secret: secret not found`, juju.ErrNotFound,
		},
		"content that Kubernetes lost": {
			"secret-get", 1, `secret "cd88u16ffbaql5kgmlh0-1" not found`, none,
		},
		"content that the backend lost": {
			"secret-get", 1, `secret revision "cd88u16ffbaql5kgmlh0-1" not found`, none,
		},
		"revision that the controller lost": {
			"secret-get", 1, `getting secret: secret revision 1 for secret "cd88u16ffbaql5kgmlh0" not found`, none,
		},
		"unknown id, found while looking for its revision": {
			"secret-get", 1, `getting latest secret revision: secret "cd88u16ffbaql5kgmlh0" not found`, juju.ErrNotFound,
		},
		"unknown backend": {
			"secret-get", 1, `secret backend "vault" not found`, none,
		},
		"unknown key of a secret": {
			"secret-get", 1, `secret key value "k" not found`, none,
		},
		"unknown application": {
			"secret-get", 1, `application "goca" not found`, none,
		},
		"not found with another exit status": {
			"secret-get", 2, `secret "ca-1" not found`, none,
		},
		"not found of a shell": {
			"secret-get", 127, `secret-get: command not found`, none,
		},
		"no socket": {
			"secret-get", 1, `dial unix /var/lib/juju/agents/unit-goca-0/agent.socket: connect: no such file or directory`, none,
		},
		"unknown tool": {
			"secret-get", 1, `bad request: unknown command: secret-get`, none,
		},
		"settings of a unit that never joined": {
			"relation-get", 1, `unit "web/3": settings not found`, none,
		},
		"unknown relation": {
			"relation-get", 2, `invalid value "9" for option -r: relation not found`, none,
		},
		"secret that secret-remove does not know": {
			"secret-remove", 1, `secret "cd88u16ffbaql5kgmlh0" not found`, none,
		},
		"secret without a grant": {
			"secret-get", 1, `permission denied`, juju.ErrDenied,
		},
		"databag of others": {
			"relation-get", 1, `permission denied`, juju.ErrDenied,
		},
		"annotated refusal": {
			"secret-get", 1, `getting secret content: permission denied`, juju.ErrDenied,
		},
		"socket of another user": {
			"secret-get", 1, `dial unix /var/lib/juju/agents/unit-goca-0/agent.socket: connect: permission denied`, none,
		},
		"file that the agent may not read": {
			"secret-add", 1, `open /dev/shm/tls-authority-1/private-key: permission denied`, none,
		},
		"secret-add by another unit": {
			"secret-add", 1, `this unit is not the leader`, juju.ErrNotLeader,
		},
		"application status by another unit": {
			"status-get", 1, `finding application status: this unit is not the leader`, juju.ErrNotLeader,
		},
		"relation-set by another unit": {
			"relation-set", 1, `cannot write relation settings`, juju.ErrNotLeader,
		},
		"leader-set by another unit": {
			"leader-set", 1, `cannot write leadership settings: cannot write settings: not the leader`, juju.ErrNotLeader,
		},
		"lost leadership": {
			"secret-remove", 1, `updating secrets: "goca/1" is not leader of "goca"`, juju.ErrNotLeader,
		},
		"leadership that is not known": {
			"is-leader", 1, `leadership status unknown: lease manager stopped`, none,
		},
		"bad arguments": {
			"status-set", 2, `invalid status "x", expected one of [maintenance blocked waiting active]`, none,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := error(&juju.Error{Command: test.command, Code: test.code, Message: test.message})
			for _, sentinel := range []error{juju.ErrNotFound, juju.ErrDenied, juju.ErrNotLeader} {
				require.Equal(t, sentinel == test.want, errors.Is(err, sentinel), "%v", sentinel)
			}
		})
	}
}
