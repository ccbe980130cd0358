// SPDX-License-Identifier: GPL-3.0-only

package observe_test

import (
	"bytes"
	"crypto/sha3"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "rewrite the files that are generated")

// ruleFile is a file of rules as Prometheus defines it.
type ruleFile struct {
	Groups []ruleGroup `yaml:"groups" json:"groups"`
}

type ruleGroup struct {
	Name  string `yaml:"name" json:"name"`
	Rules []rule `yaml:"rules" json:"rules"`
}

type rule struct {
	Alert       string            `yaml:"alert" json:"alert"`
	Expr        string            `yaml:"expr" json:"expr"`
	For         string            `yaml:"for" json:"for"`
	Labels      map[string]string `yaml:"labels" json:"labels"`
	Annotations map[string]string `yaml:"annotations" json:"annotations"`
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	return content
}

// readRules reads alerts.yaml, and nothing in it that Prometheus would not.
func readRules(t *testing.T) ruleFile {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(readFile(t, "alerts.yaml")))
	decoder.KnownFields(true)
	var file ruleFile
	require.NoError(t, decoder.Decode(&file))
	require.NotEmpty(t, file.Groups)
	return file
}

// TestGeneratedRules compares alerts.json with alerts.yaml. With -update, as
// make docs calls it, it writes the file.
func TestGeneratedRules(t *testing.T) {
	t.Parallel()
	file := readRules(t)
	for g := range file.Groups {
		group := &file.Groups[g]
		group.Name = "%%juju_identifier%%_" + group.Name + "_rules"
		for r := range group.Rules {
			expr := strings.TrimSpace(group.Rules[r].Expr)
			require.NotContains(t, expr, "#", "the whole expression becomes one text")
			group.Rules[r].Expr = strings.ReplaceAll(expr, "%%juju_topology%%",
				`juju_model="%%juju_model%%",juju_model_uuid="%%juju_model_uuid%%",juju_application="%%juju_application%%"`)
			labels := group.Rules[r].Labels
			labels["juju_model"], labels["juju_model_uuid"] = "%%juju_model%%", "%%juju_model_uuid%%"
			labels["juju_application"], labels["juju_charm"] = "%%juju_application%%", "tls-authority"
		}
	}
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(file))
	if *update {
		require.NoError(t, os.WriteFile("alerts.json", want.Bytes(), 0o644))
	}
	require.Equal(t, want.String(), string(readFile(t, "alerts.json")), "alerts.json is out of date: run make docs")
}

// compact is dashboard.json without its white space.
func compact(t *testing.T) []byte {
	t.Helper()
	var text bytes.Buffer
	require.NoError(t, json.Compact(&text, readFile(t, "dashboard.json")))
	return text.Bytes()
}

// TestGeneratedDashboard compares what the compressed file holds with
// dashboard.json: another version of the compressor may write other bytes.
func TestGeneratedDashboard(t *testing.T) {
	t.Parallel()
	const name = "dashboard.xz.base64"
	want := compact(t)
	if *update {
		var packed bytes.Buffer
		writer, err := xz.NewWriter(&packed)
		require.NoError(t, err)
		_, err = writer.Write(want)
		require.NoError(t, err)
		require.NoError(t, writer.Close())
		require.NoError(t, os.WriteFile(name, []byte(base64.StdEncoding.EncodeToString(packed.Bytes())+"\n"), 0o644))
	}
	require.Equal(t, string(want), string(unpack(t, string(readFile(t, name)))), "%s is out of date: run make docs", name)
}

func unpack(t *testing.T, text string) []byte {
	t.Helper()
	packed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	require.NoError(t, err)
	reader, err := xz.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	content, err := io.ReadAll(reader)
	require.NoError(t, err)
	return content
}

// TestOthersUnpackTheDashboard reads it with what the libraries use, and with
// the reference.
func TestOthersUnpackTheDashboard(t *testing.T) {
	t.Parallel()
	packed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(readFile(t, "dashboard.xz.base64"))))
	require.NoError(t, err)
	for name, args := range map[string][]string{
		"python3": {"-c", "import lzma, sys; sys.stdout.buffer.write(lzma.decompress(sys.stdin.buffer.read()))"},
		"xz":      {"--decompress", "--stdout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(name)
			if err != nil {
				t.Skipf("NOT UNPACKED by %s: it is not installed", name)
			}
			cmd := exec.Command(program, args...)
			cmd.Stdin = bytes.NewReader(packed)
			content, err := cmd.Output()
			require.NoError(t, err)
			require.Equal(t, string(compact(t)), string(content))
		})
	}
}

// TestDashboardIdentifiers: the stack tells dashboards apart by 20 octets of
// SHAKE256 over charm and path (cosl, DashboardPath40UID), and replaces another.
func TestDashboardIdentifiers(t *testing.T) {
	t.Parallel()
	var dashboard struct {
		UID     string   `json:"uid"`
		Tags    []string `json:"tags"`
		Version int      `json:"version"`
	}
	require.NoError(t, json.Unmarshal(compact(t), &dashboard))
	digest := sha3.SumSHAKE256([]byte("tls-authority-src/grafana_dashboards/tls-authority.json"), 20)
	require.Equal(t, hex.EncodeToString(digest), dashboard.UID)
	require.Contains(t, dashboard.Tags, "charm: tls-authority")
	require.Positive(t, dashboard.Version)
}
