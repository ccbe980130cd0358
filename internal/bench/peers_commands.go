// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// easyrsaName is the peer that the charm is to replace, and to beat.
const easyrsaName = "easy-rsa"

// peers is how others make a key and a server certificate with one name.
func peers() []peer {
	return []peer{
		{
			name:    "openssl, one command",
			find:    installed("openssl", "version"),
			prepare: writeExtensions,
			issue:   opensslOne,
			result:  inFile("", ".pem"),
		},
		{
			name:    "openssl, two commands",
			find:    installed("openssl", "version"),
			prepare: writeExtensions,
			issue:   opensslTwo,
			result:  inFile("", ".pem"),
		},
		{
			name:    easyrsaName,
			find:    installed("/usr/share/easy-rsa/easyrsa", "--version"),
			prepare: easyrsaAuthority,
			issue:   easyrsaServer,
			result:  inFile("pki/issued/", ".crt"),
		},
		{
			name:    "cfssl",
			find:    built("cfssl", "github.com/cloudflare/cfssl/cmd/cfssl", "v1.6.5"),
			prepare: writeProfile,
			issue:   cfsslServer,
			result:  cfsslResult,
		},
		{
			name:   "step",
			find:   built("step", "github.com/smallstep/cli/cmd/step", "v0.21.0"),
			issue:  stepServer,
			result: inFile("", ".pem"),
		},
	}
}

// inFile is for peers that write a file named after the host.
func inFile(prefix, suffix string) func(peerWork, string, []byte) ([]byte, error) {
	return func(w peerWork, host string, _ []byte) ([]byte, error) {
		return os.ReadFile(w.file(prefix + host + suffix))
	}
}

// opensslExtensions are the profile of a server; openssl has none of its own.
const opensslExtensions = `
[req]
distinguished_name = subject
[subject]
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:${ENV::NAME}
`

func writeExtensions(w peerWork) error {
	return os.WriteFile(w.file("openssl.cnf"), []byte(opensslExtensions), 0o600)
}

// opensslKey is how openssl is told the kind of a new key.
func opensslKey(keyType string) []string {
	if keyType == "rsa-2048" {
		return []string{"-newkey", "rsa:2048"}
	}
	return []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"}
}

func opensslOne(w peerWork, host string) []*exec.Cmd {
	cmd := w.command(append([]string{"req", "-x509", "-nodes", "-config", "openssl.cnf", "-extensions", "server", "-days", "365",
		"-subj", "/CN=" + host, "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", host + ".key", "-out", host + ".pem"}, opensslKey(w.keyType)...)...)
	cmd.Env = append(cmd.Env, "NAME="+host)
	return []*exec.Cmd{cmd}
}

func opensslTwo(w peerWork, host string) []*exec.Cmd {
	request := w.command(append([]string{"req", "-new", "-nodes", "-config", "openssl.cnf",
		"-subj", "/CN=" + host, "-keyout", host + ".key", "-out", host + ".csr"}, opensslKey(w.keyType)...)...)
	sign := w.command("x509", "-req", "-in", host+".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "365",
		"-extfile", "openssl.cnf", "-extensions", "server", "-out", host+".pem")
	for _, cmd := range []*exec.Cmd{request, sign} {
		cmd.Env = append(cmd.Env, "NAME="+host)
	}
	return []*exec.Cmd{request, sign}
}

// easyrsa is a call of the scripts as the charm of that name makes them; the
// name of a certificate is its common name.
func easyrsa(w peerWork, args ...string) *exec.Cmd {
	cmd := w.command(append([]string{"--batch"}, args...)...)
	cmd.Env = append(cmd.Env, "EASYRSA_PKI="+w.file("pki"), "EASYRSA_KEY_SIZE=2048", "EASYRSA_ALGO=rsa")
	if w.keyType == "ecdsa-p256" {
		cmd.Env = append(cmd.Env, "EASYRSA_ALGO=ec", "EASYRSA_CURVE=prime256v1")
	}
	return cmd
}

// easyrsaAuthority makes a CA in place of the one that is there: the scripts
// sign only with their own.
func easyrsaAuthority(w peerWork) error {
	for _, args := range [][]string{{"init-pki"}, {"--req-cn=bench", "build-ca", "nopass"}} {
		_, err := runCommand(easyrsa(w, args...))
		if err != nil {
			return err
		}
	}
	text, err := os.ReadFile(w.file("pki/ca.crt"))
	if err != nil {
		return err
	}
	return os.WriteFile(w.file("ca.pem"), text, 0o600)
}

func easyrsaServer(w peerWork, host string) []*exec.Cmd {
	return []*exec.Cmd{easyrsa(w, "--subject-alt-name=DNS:"+host, "build-server-full", host, "nopass")}
}

// writeProfile writes what cfssl calls its configuration.
func writeProfile(w peerWork) error {
	const profile = `{"signing": {"default": {"expiry": "8760h", "usages": ["signing", "key encipherment", "server auth", "client auth"]}}}`
	return os.WriteFile(w.file("config.json"), []byte(profile), 0o600)
}

// cfsslServer reads the request from standard input and answers with JSON.
func cfsslServer(w peerWork, host string) []*exec.Cmd {
	key := `{"algo": "rsa", "size": 2048}`
	if w.keyType == "ecdsa-p256" {
		key = `{"algo": "ecdsa", "size": 256}`
	}
	cmd := w.command("gencert", "-loglevel=5", "-ca", "ca.pem", "-ca-key", "ca.key", "-config", "config.json", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`{"CN": %q, "hosts": [%q], "key": %s}`, host, host, key))
	return []*exec.Cmd{cmd}
}

func cfsslResult(_ peerWork, _ string, output []byte) ([]byte, error) {
	var answer struct {
		Cert string `json:"cert"`
	}
	err := json.Unmarshal(output, &answer)
	return []byte(answer.Cert), err
}

func stepServer(w peerWork, host string) []*exec.Cmd {
	key := []string{"--kty", "RSA", "--size", "2048"}
	if w.keyType == "ecdsa-p256" {
		key = []string{"--kty", "EC", "--curve", "P-256"}
	}
	return []*exec.Cmd{w.command(append([]string{"certificate", "create", host, host + ".pem", host + ".key", "--san", host, "--not-after", "8760h",
		"--ca", "ca.pem", "--ca-key", "ca.key", "--no-password", "--insecure"}, key...)...)}
}
