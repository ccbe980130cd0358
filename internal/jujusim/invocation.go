// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"tls-authority/internal/juju"
)

// invocation is one call of a hook tool. Tools use it to parse their
// arguments, to print, and to reach the hook's context.
type invocation struct {
	*hookContext
	request juju.Request
	flags   flagSet
	stdout  bytes.Buffer
	stderr  bytes.Buffer
	code    int
}

var errNeedsStdin = errors.New(juju.NeedsStdin)

// parse reads the arguments and returns what is left to do. Its errors are
// the user's: exit code 2.
func (i *invocation) parse(t tool) (func() error, error) {
	return t.start(i)
}

// run does the work. Its errors have exit code 1.
func (i *invocation) run(t tool, work func() error, parseErr error) {
	switch {
	case errors.Is(parseErr, errHelp):
		fmt.Fprintf(&i.stdout, "Usage: %s (the simulator has no help texts)\n", i.request.CommandName)
		return
	case parseErr != nil:
		i.fail(2, parseErr)
		return
	}
	err := work()
	switch {
	case err != nil:
		i.fail(1, err)
	case t.writes:
		i.writes++
	}
}

func (i *invocation) fail(code int, err error) {
	i.code = code
	fmt.Fprintf(&i.stderr, "ERROR %v\n", err)
}

// arguments parses the flags that were defined.
func (i *invocation) arguments() ([]string, error) {
	return i.flags.parse(i.request.Args)
}

// relationFlag defines -r. The endpoint part of its value is ignored. The
// hook's own relation is the default; nil means that there is none.
func (i *invocation) relationFlag() **contextRelation {
	chosen := i.hookRelation()
	i.flags.define(flag{set: func(value string) error {
		number, err := strconv.Atoi(value[strings.LastIndex(value, ":")+1:])
		if err != nil {
			return errors.New("invalid relation id")
		}
		if i.relations[number] == nil {
			return errors.New("relation not found")
		}
		chosen = i.relations[number]
		return nil
	}}, []string{"r", "relation"})
	return &chosen
}

var errNoRelation = errors.New("no relation id specified")

// output prints a tool's result in the format that was asked for.
type output struct {
	invocation   *invocation
	format, path string
}

// outputFlags defines --format and --output.
func (i *invocation) outputFlags(formats ...string) *output {
	o := &output{invocation: i, format: formats[0]}
	i.flags.define(flag{set: func(value string) error {
		for _, format := range formats {
			if format == value {
				o.format = value
				return nil
			}
		}
		return fmt.Errorf("unknown format %q", value)
	}}, []string{"format"})
	i.flags.text(&o.path, "o", "output")
	return o
}

// smart is the formats of most tools, the default first.
func (i *invocation) smartOutput() *output { return i.outputFlags("smart", "yaml", "json") }

func (o *output) print(value any) error {
	text, err := encode(o.format, value)
	if err != nil {
		return err
	}
	if o.path == "" {
		o.invocation.stdout.Write(text)
		return nil
	}
	return os.WriteFile(o.invocation.resolve(o.path), text, 0o666)
}

func encode(format string, value any) ([]byte, error) {
	switch format {
	case "json":
		text, err := json.Marshal(value)
		return append(text, '\n'), err
	case "yaml":
		return encodeYAML(value)
	}
	switch value := value.(type) {
	case nil:
		return nil, nil
	case string:
		return line(value), nil
	case []string:
		return line(strings.Join(value, "\n")), nil
	case bool:
		if value {
			return line("True"), nil
		}
		return line("False"), nil
	}
	return encodeYAML(value)
}

func line(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text + "\n")
}

func encodeYAML(value any) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := encoder.Encode(value)
	return append(bytes.TrimRight(text.Bytes(), "\n"), '\n'), err
}

// resolve makes a path absolute as the tool's caller means it.
func (i *invocation) resolve(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(i.request.Dir, path)
}

// fileFlag defines --file of relation-set and state-set.
func (i *invocation) fileFlag() *string {
	path := ""
	i.flags.text(&path, "file")
	return &path
}

// needsStdin asks the client for its input when the file is "-".
func (i *invocation) needsStdin(path string) error {
	if path == "-" && !i.request.StdinSet {
		return errNeedsStdin
	}
	return nil
}

// readSettings reads --file, a YAML map of strings, and lets arguments
// override it. Values are not trimmed.
func (i *invocation) readSettings(path string, arguments map[string]string) (map[string]string, error) {
	if path == "" {
		return arguments, nil
	}
	text := i.request.Stdin
	if path != "-" {
		var err error
		text, err = os.ReadFile(i.resolve(path))
		if err != nil {
			return nil, err
		}
	}
	settings, err := parseSettings(text)
	if err != nil {
		return nil, err
	}
	maps.Copy(settings, arguments)
	return settings, nil
}

// parseSettings reads a YAML map of strings. Plain JSON, which is YAML, and
// strings in quotation marks take ways that are quicker: bags of megabytes are
// common.
func parseSettings(text []byte) (map[string]string, error) {
	if settings, ok := parseQuoted(string(text)); ok {
		return settings, nil
	}
	settings := map[string]string{}
	if isPlainJSON(text) && json.Unmarshal(text, &settings) == nil {
		return settings, nil
	}
	var document yaml.Node
	err := yaml.Unmarshal(text, &document)
	if err != nil || document.IsZero() {
		return map[string]string{}, err
	}
	settings = map[string]string{}
	keepLast(document.Content[0])
	return settings, document.Decode(settings)
}

// keepLast drops the keys of a map that come again, which Juju's reader of YAML
// allows and ours does not.
func keepLast(node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		return
	}
	last := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		last[node.Content[i].Value] = i
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		if last[node.Content[i].Value] == i {
			kept = append(kept, node.Content[i:i+2]...)
		}
	}
	node.Content = kept
}

// isPlainJSON tells whether JSON and YAML must agree on a text: an object in
// printable ASCII without the escapes that YAML refuses: surrogates and "\/".
func isPlainJSON(text []byte) bool {
	text = bytes.TrimSpace(text)
	for _, c := range text {
		if (c < ' ' && c != '\n') || c > '~' {
			return false
		}
	}
	for _, escape := range []string{`\ud`, `\uD`, `\/`} {
		if bytes.Contains(text, []byte(escape)) {
			return false
		}
	}
	return bytes.HasPrefix(text, []byte("{"))
}
