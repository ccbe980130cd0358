// SPDX-License-Identifier: GPL-3.0-only

package juju

// ServiceMethod is the net/rpc method that the unit agent serves on its
// socket for hook tools. The name and the fields below have been the same
// from Juju 2.9 to 4.1 (worker/uniter/runner/jujuc/server.go).
const ServiceMethod = "Jujuc.Main"

// NeedsStdin is the text of the RPC error that the agent answers with when a
// tool wants standard input and the request carried none. A client that knows
// beforehand sets StdinSet in its first request and never sees it.
const NeedsStdin = "hook tool requires stdin, none supplied"

// Request asks the unit agent to run one hook tool. Gob matches fields by
// name, so an agent that lacks Token (Juju 4) still reads the request.
type Request struct {
	// ContextId is JUJU_CONTEXT_ID; a request with another one is refused.
	// The spelling is the wire's.
	ContextId string
	// Dir is absolute; the tool resolves relative file arguments against it.
	Dir         string
	CommandName string
	// Args leaves out the tool's own name.
	Args     []string
	StdinSet bool
	Stdin    []byte
	// Token is JUJU_AGENT_TOKEN, empty for unix sockets.
	Token string
}

// Response is what the hook tool printed and its exit status.
type Response struct {
	Code   int
	Stdout []byte
	Stderr []byte
}
