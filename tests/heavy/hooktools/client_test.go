// SPDX-License-Identifier: GPL-3.0-only

package hooktools_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/juju/juju/juju/sockets"
	"github.com/juju/juju/worker/uniter/runner/jujuc"
	"github.com/juju/utils/v3/exec"
)

// runTool is what agents put on a charm's PATH under the names of the hook
// tools, on Juju's own types: a client of the agent's socket (cmd/jujud, whose
// main package cannot be imported). It returns the exit status.
func runTool(name string, args []string) int {
	response, err := call(name, args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "ERROR %v\n", err)
		return 1
	}
	os.Stdout.Write(response.Stdout)
	os.Stderr.Write(response.Stderr)
	return response.Code
}

func call(name string, args []string) (response exec.ExecResponse, err error) {
	request := jujuc.Request{CommandName: name, Args: args, Token: os.Getenv("JUJU_AGENT_TOKEN")}
	request.ContextId, err = variable("JUJU_CONTEXT_ID")
	if err != nil {
		return response, err
	}
	request.Dir, err = os.Getwd()
	if err != nil {
		return response, err
	}
	socket, err := socket()
	if err != nil {
		return response, err
	}
	client, err := sockets.Dial(socket)
	if err != nil {
		return response, err
	}
	defer client.Close()
	err = client.Call("Jujuc.Main", request, &response)
	if err == nil || err.Error() != jujuc.ErrNoStdin.Error() {
		return response, err
	}
	request.Stdin, err = io.ReadAll(os.Stdin)
	if err != nil {
		return response, fmt.Errorf("cannot read stdin: %w", err)
	}
	request.StdinSet = true
	err = client.Call("Jujuc.Main", request, &response)
	return response, err
}

// socket is the agent's, from the environment of the hook.
func socket() (sockets.Socket, error) {
	address, err := variable("JUJU_AGENT_SOCKET_ADDRESS")
	if err != nil {
		return sockets.Socket{}, err
	}
	network, err := variable("JUJU_AGENT_SOCKET_NETWORK")
	if err != nil || network != "tcp" {
		return sockets.Socket{Network: network, Address: address}, err
	}
	path, err := variable("JUJU_AGENT_CA_CERT")
	if err != nil {
		return sockets.Socket{}, err
	}
	authority, err := os.ReadFile(path)
	if err != nil {
		return sockets.Socket{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return sockets.Socket{}, errors.New("invalid ca certificate")
	}
	unit, err := variable("JUJU_UNIT_NAME")
	application, _, _ := strings.Cut(unit, "/")
	return sockets.Socket{Network: network, Address: address, TLSConfig: &tls.Config{RootCAs: roots, ServerName: application}}, err
}

func variable(name string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return "", fmt.Errorf("%s not set", name)
	}
	return value, nil
}
