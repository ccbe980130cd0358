// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"path/filepath"
	"strings"

	"tls-authority/internal/juju"
)

// Shim acts as Juju's own client when argv0 is the name of a hook tool: it
// runs the tool in the hook that the environment names, prints what it
// printed, and returns its exit code. Otherwise isTool is false and nothing
// was done. Programs that serve as Options.ToolBinary call it first of all.
func Shim(argv0 string, args []string) (code int, isTool bool) {
	name := filepath.Base(argv0)
	if _, found := toolTable[name]; !found {
		return 0, false
	}
	response, err := callAgent(name, args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "ERROR %v\n", err)
		return 1, true
	}
	os.Stdout.Write(response.Stdout)
	os.Stderr.Write(response.Stderr)
	return response.Code, true
}

func callAgent(name string, args []string) (juju.Response, error) {
	request := juju.Request{CommandName: name, Args: args}
	var err error
	request.ContextId, err = variable("JUJU_CONTEXT_ID")
	if err != nil {
		return juju.Response{}, err
	}
	request.Dir, err = os.Getwd()
	if err != nil {
		return juju.Response{}, err
	}
	address, err := variable("JUJU_AGENT_SOCKET_ADDRESS")
	if err != nil {
		return juju.Response{}, err
	}
	network, err := variable("JUJU_AGENT_SOCKET_NETWORK")
	if err != nil {
		return juju.Response{}, err
	}
	client, err := rpc.Dial(network, address)
	if err != nil {
		return juju.Response{}, err
	}
	defer client.Close()
	response, err := callOnce(client, request)
	if err == nil || err.Error() != juju.NeedsStdin {
		return response, err
	}
	request.Stdin, err = io.ReadAll(os.Stdin)
	if err != nil {
		return juju.Response{}, fmt.Errorf("cannot read standard input: %w", err)
	}
	request.StdinSet = true
	return callOnce(client, request)
}

// callOnce prefers the simulator's own method, so that its record shows a
// program, and falls back to the agent's.
func callOnce(client *rpc.Client, request juju.Request) (juju.Response, error) {
	var response juju.Response
	err := client.Call(shimMethod, request, &response)
	var refused rpc.ServerError
	if errors.As(err, &refused) && strings.HasPrefix(string(refused), "rpc: can't find") {
		err = client.Call(juju.ServiceMethod, request, &response)
	}
	return response, err
}

func variable(name string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return "", fmt.Errorf("%s not set", name)
	}
	return value, nil
}
