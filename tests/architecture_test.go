// SPDX-License-Identifier: GPL-3.0-only

package tests

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "tls-authority"

// layer is what a package may import besides most of the standard library.
type layer struct {
	ours    []string // packages of this module
	modules []string // of other people, with all below them
	shunned []string // packages of the standard library
	because string   // why, for whoever breaks it
}

// layers is the direction of all imports. A package that is not here is
// refused: add it when two others need it, and say why in docs/decisions.
var layers = map[string]layer{
	"internal/pki": {
		modules: []string{"golang.org/x/crypto/cryptobyte", "golang.org/x/crypto/ocsp", "golang.org/x/net/idna"},
		shunned: []string{"io/fs", "log", "net/http", "os", "os/exec"}, // log/slog only to redact keys
		because: "pki is X.509 alone: it must be usable, and testable, without Juju, files, network or log",
	},
	"internal/tlscertificates": {
		shunned: []string{"crypto/x509", "io/fs", "log", "log/slog", "net/http", "os", "os/exec"},
		because: "tlscertificates turns text into values and back: what a certificate says is not its business",
	},
	"internal/juju": {
		shunned: []string{"crypto/tls", "crypto/x509", "net/http"},
		because: "juju is the boundary to the agent: it has never heard of certificates",
	},
	"internal/record": {
		ours:    []string{"internal/pki", "internal/tlscertificates"},
		shunned: []string{"crypto/rand", "log", "net/http", "os", "os/exec"},
		because: "record is the memory of the charm as text and values: it neither decides nor signs",
	},
	"internal/policy": {
		ours:    []string{"internal/pki", "internal/record", "internal/tlscertificates"},
		shunned: []string{"crypto/rand", "log", "net/http", "os", "os/exec"},
		because: "policy is the operator's word on what may be issued: options in, verdicts out",
	},
	"internal/decision": {
		ours:    []string{"internal/juju", "internal/pki", "internal/policy", "internal/record", "internal/tlscertificates"},
		shunned: []string{"context", "crypto/rand", "log", "math/rand", "math/rand/v2", "net/http", "os", "os/exec"},
		because: "decision is pure: it could not read a clock, draw a number or call a tool if it tried",
	},
	"internal/action": {
		ours:    []string{"internal/decision", "internal/juju", "internal/pki", "internal/policy", "internal/record", "internal/tlscertificates"},
		shunned: []string{"context", "crypto/rand", "log", "math/rand", "math/rand/v2", "net/http", "os", "os/exec"},
		because: "action is pure, as decision is, of which it is the part that operators ask for",
	},
	"internal/backup": {
		ours:    []string{"internal/pki"},
		modules: []string{"filippo.io/age"},
		shunned: []string{"log", "net/http", "os", "os/exec"},
		because: "backup is the format of a file: where the file is and what is in force are not its business",
	},
	"internal/easyrsa": {
		ours:    []string{"internal/pki"},
		shunned: []string{"log", "net/http", "os", "os/exec"},
		because: "easyrsa reads the archive of another charm, and nothing else",
	},
	"internal/store": {
		shunned: []string{"crypto/x509", "log", "net/http", "os/exec"},
		because: "store keeps files and knows nothing of their content",
	},
	"internal/spool": {
		ours:    []string{"internal/pki"},
		shunned: []string{"crypto/rand", "crypto/x509", "log", "net/http", "os/exec"},
		because: "spool is what two programs share: hooks write it, and must not pay for what serves it",
	},
	"internal/responder": {
		ours:    []string{"internal/pki", "internal/spool"},
		modules: []string{"github.com/prometheus/client_golang/prometheus", "golang.org/x/net/netutil"},
		shunned: []string{"crypto/rand", "log", "os/exec"},
		because: "responder answers from its spool alone: it decides nothing and never sees a key of the CA",
	},
	"internal/observe": {
		shunned: []string{"crypto/x509", "io/fs", "log", "net/http", "os", "os/exec"},
		because: "observe turns values into the texts of the observability stack and back: it measures nothing and reads no file",
	},
	"internal/control": {
		ours:    []string{"internal/spool"},
		shunned: []string{"crypto/rand", "crypto/x509", "log", "net/http"},
		because: "control is what every hook links of the status service: it asks and has others do",
	},
	"internal/service": {
		ours:    []string{"internal/control"},
		modules: []string{"github.com/canonical/pebble/client"},
		shunned: []string{"crypto/rand", "crypto/x509", "log"},
		because: "service runs the daemon: what it tells, and to whom the charm has signed, is not its business",
	},
	"internal/signing": {
		ours:    []string{"internal/decision", "internal/juju", "internal/observe", "internal/pki", "internal/policy", "internal/record", "internal/tlscertificates"},
		shunned: []string{"context", "log", "net/http", "os", "os/exec"},
		because: "signing uses keys and nothing else: what it needs is handed to it",
	},
	"internal/charm": {
		ours: []string{"internal/decision", "internal/juju", "internal/observe", "internal/pki", "internal/policy", "internal/record",
			"internal/control", "internal/signing", "internal/spool", "internal/store", "internal/tlscertificates"},
		shunned: []string{"crypto/rand", "crypto/tls", "net/http", "os", "os/exec"},
		because: "charm reads and writes through juju, store and control: itself it touches neither the environment nor files nor processes",
	},
	"internal/operator": {
		ours:    []string{"internal/action", "internal/backup", "internal/charm", "internal/decision", "internal/easyrsa", "internal/pki", "internal/record", "internal/tlscertificates"},
		shunned: []string{"log", "net/http", "os", "os/exec"},
		because: "operator adds to the charm what operators ask for: hooks do without it",
	},
	"internal/jujusim": {
		ours:    []string{"internal/juju"},
		modules: []string{"github.com/juju/charm/v12", "gopkg.in/yaml.v3"},
		because: "the simulated Juju shares only the wire types with the charm, or both could be wrong together",
	},
	"internal/bench": {
		ours:    []string{"internal/juju", "internal/jujusim", "internal/pki"},
		modules: []string{"github.com/spf13/cobra"},
		because: "the benchmark measures the packed charm, and two parts of it beside the whole: the transport and the signature",
	},
	"tests/life": {
		ours:    []string{"internal/jujusim", "internal/operator", "internal/pki", "internal/record"},
		because: "life knows the charm as an agent does; only the clock is its own, and what the charm remembers it reads with the charm's own codec",
	},
	"cmd/dispatch": {
		ours:    []string{"internal/charm"},
		shunned: []string{"net/http"},
		because: "dispatch starts for every hook: what hooks seldom need is in cmd/tls-authority",
	},
	"cmd/tls-authority": {
		ours:    []string{"internal/juju", "internal/control", "internal/operator", "internal/responder", "internal/service", "internal/spool"},
		modules: []string{"github.com/spf13/cobra"},
		because: "the shipped program only wires packages: a simulator or a packer in it would be shipped too",
	},
	"cmd/jujusim": {
		ours:    []string{"internal/bench", "internal/jujusim"},
		modules: []string{"github.com/spf13/cobra", "golang.org/x/crypto/ocsp", "golang.org/x/term"},
		because: "the demonstration knows the charm as Juju does: as an archive",
	},
	"cmd/packcharm": {
		modules: []string{"github.com/juju/charm/v12"},
		because: "the packer builds the program, it does not link it",
	},
	"cmd/testreport": {because: "it runs go test and counts"},
}

// banned are functions that belong in few places.
var banned = []struct {
	names   []string
	allowed []string // prefixes of file paths
	because string
}{
	{[]string{"time.Now", "time.Since", "time.Until"}, []string{"cmd/", "internal/bench/", "internal/jujusim/"},
		"time enters as a value, so that a decision can be repeated and tested"},
	{[]string{"os.Getenv", "os.LookupEnv", "os.Environ"}, []string{"cmd/", "internal/bench/", "internal/jujusim/"},
		"the environment is read once, in main, and handed on as a value"},
	{[]string{"tls-authority/internal/pki.GenerateKey", "tls-authority/internal/pki.NewIssuer", "tls-authority/internal/pki.CreateSelfSigned", "tls-authority/internal/pki.ParsePrivateKeyPEM", "tls-authority/internal/pki.ParsePrivateKeyDER"}, []string{"internal/backup/", "internal/bench/issue.go", "internal/easyrsa/", "internal/operator/", "internal/pki/", "internal/signing/", "internal/spool/"},
		"keys are made, read and used in one place, so that one place must be trusted with them"},
	{[]string{"os.Exit", "log.Fatal", "log.Fatalf"}, []string{"cmd/"},
		"only a program may end itself: a package returns an error"},
	{[]string{"fmt.Print", "fmt.Printf", "fmt.Println"}, []string{"cmd/"},
		"what a hook prints lands in the model's log: a package writes to a writer it is given"},
}

// Lengths of files, in lines. A longer one holds more than one idea.
const (
	maxFile     = 400
	maxTestFile = 800
)

// sourceFile is a file of the module.
type sourceFile struct {
	path  string // from the root of the repository
	lines []string
	file  *ast.File
	set   *token.FileSet
}

func TestSourceFollowsTheArchitecture(t *testing.T) {
	t.Parallel()
	content, err := sources(root)
	require.NoError(t, err)
	documented := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		f := parse(t, name, string(content[name]))
		for _, broken := range f.check() {
			t.Error(broken)
		}
		documented[path.Dir(name)] = documented[path.Dir(name)] || f.file.Doc != nil
	}
	require.NotEmpty(t, documented)
	for folder, is := range documented {
		require.True(t, is, "%s: no package comment: it says what the package is, what it does not do and which specification it follows", folder)
	}
}

// TestSourceRulesCanBeBroken keeps the rules from passing everything.
func TestSourceRulesCanBeBroken(t *testing.T) {
	t.Parallel()
	const licence = "// SPDX-License-Identifier: GPL-3.0-only\n\n"
	tests := map[string]struct{ path, source, want string }{
		"no licence line":              {"internal/pki/a.go", "package pki", "licence line"},
		"an unknown package":           {"internal/helpers/a.go", licence + "package helpers", "not in the table"},
		"an import upwards":            {"internal/pki/a.go", licence + `package pki; import "tls-authority/internal/juju"`, "imports tls-authority/internal/juju"},
		"a module that is not allowed": {"internal/juju/a.go", licence + `package juju; import "github.com/spf13/cobra"`, "imports github.com/spf13/cobra"},
		"a shunned package":            {"internal/charm/a.go", licence + `package charm; import "os/exec"`, "imports os/exec"},
		"testify in the program":       {"internal/charm/a.go", licence + `package charm; import "github.com/stretchr/testify/require"`, "imports github.com/stretchr"},
		"the clock":                    {"internal/charm/a.go", licence + `package charm; import "time"; func f() { time.Now() }`, "uses time.Now"},
		"the clock under another name": {"internal/charm/a.go", licence + `package charm; import clock "time"; func f() { clock.Now() }`, "uses time.Now"},
		"an exit":                      {"internal/juju/a.go", licence + `package juju; import "os"; func f() { os.Exit(1) }`, "uses os.Exit"},
		"an init":                      {"internal/pki/a.go", licence + `package pki; func init() {}`, "func init"},
		"a variable without a value":   {"internal/pki/a.go", licence + `package pki; var count int`, "variable count"},
		"a variable that may change":   {"internal/pki/a.go", licence + `package pki; var current = &state{}`, "variable current"},
		"a long file":                  {"internal/pki/a.go", licence + "package pki" + strings.Repeat("\n", maxFile), "lines"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := parse(t, tc.path, tc.source).check()
			require.Len(t, broken, 1)
			require.Contains(t, broken[0], tc.want)
		})
	}
	fine := licence + `package pki; import "errors"; var errBad = errors.New("bad"); var table = map[string]int{"a": 1}; var _ error = errBad`
	require.Empty(t, parse(t, "internal/pki/a.go", fine).check())
	embedded := licence + "package pki\n\nimport _ \"embed\"\n\n//go:embed a.txt\nvar text string\n"
	require.Empty(t, parse(t, "internal/pki/a.go", embedded).check())
}

func parse(t *testing.T, name, content string) sourceFile {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, content, parser.ParseComments)
	require.NoError(t, err)
	return sourceFile{path: name, lines: strings.Split(content, "\n"), file: file, set: set}
}

// check returns every rule that the file breaks, with where and why.
func (f sourceFile) check() []string {
	broken := append(f.checkLicence(), f.checkLength()...)
	if strings.HasSuffix(f.path, "_test.go") {
		return broken
	}
	broken = append(broken, f.checkImports()...)
	broken = append(broken, f.checkCalls()...)
	return append(broken, f.checkState()...)
}

func (f sourceFile) checkLicence() []string {
	const line = "// SPDX-License-Identifier: GPL-3.0-only"
	if f.lines[0] != line {
		return []string{fmt.Sprintf("%s:1: the licence line %q must be the first: it is all a file says of its licence", f.path, line)}
	}
	return nil
}

func (f sourceFile) checkLength() []string {
	limit := maxFile
	if strings.HasSuffix(f.path, "_test.go") {
		limit = maxTestFile
	}
	if n := len(f.lines) - 1; n > limit {
		return []string{fmt.Sprintf("%s: %d lines, at most %d: a longer file holds more than one idea", f.path, n, limit)}
	}
	return nil
}

func (f sourceFile) checkImports() []string {
	folder := path.Dir(f.path)
	rules, known := layers[folder]
	if !known {
		return []string{fmt.Sprintf("%s: %s is not in the table of layers: say there what it may import", f.path, folder)}
	}
	var broken []string
	for _, spec := range f.file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value) // the parser has unquoted it already
		if !rules.allow(imported) {
			broken = append(broken, fmt.Sprintf("%s: %s imports %s: %s", f.position(spec.Pos()), folder, imported, rules.because))
		}
	}
	return broken
}

func (l layer) allow(imported string) bool {
	below := func(parent string) bool { return imported == parent || strings.HasPrefix(imported, parent+"/") }
	if ours, found := strings.CutPrefix(imported, module+"/"); found {
		return slices.Contains(l.ours, ours)
	}
	if strings.Contains(strings.Split(imported, "/")[0], ".") {
		return slices.ContainsFunc(l.modules, below)
	}
	return !slices.Contains(l.shunned, imported)
}

// checkCalls looks for the banned functions, under whatever name their
// package was imported.
func (f sourceFile) checkCalls() []string {
	imported := map[string]string{}
	for _, spec := range f.file.Imports {
		full, _ := strconv.Unquote(spec.Path.Value) // the parser has unquoted it already
		name := path.Base(full)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = full
	}
	var broken []string
	ast.Inspect(f.file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && imported[x.Name] != "" {
			used := imported[x.Name] + "." + selector.Sel.Name
			for _, rule := range banned {
				inPlace := slices.ContainsFunc(rule.allowed, func(prefix string) bool { return strings.HasPrefix(f.path, prefix) })
				if slices.Contains(rule.names, used) && !inPlace {
					broken = append(broken, fmt.Sprintf("%s: uses %s: %s", f.position(n.Pos()), used, rule.because))
				}
			}
		}
		return true
	})
	return broken
}

// checkState looks for what runs or changes behind the back of a reader:
// init functions, and package variables that are not constant in all but name.
func (f sourceFile) checkState() []string {
	var broken []string
	for _, declaration := range f.file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				broken = append(broken, f.position(d.Pos())+": func init: nothing happens by importing a package")
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR || isEmbedded(d) {
				continue
			}
			for _, spec := range d.Specs {
				broken = append(broken, f.checkVariable(spec.(*ast.ValueSpec))...)
			}
		}
	}
	return broken
}

// isEmbedded tells whether the compiler fills a variable with a file: such a
// constant Go cannot write either.
func isEmbedded(d *ast.GenDecl) bool {
	return d.Doc != nil && slices.ContainsFunc(d.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

func (f sourceFile) checkVariable(v *ast.ValueSpec) []string {
	var broken []string
	for i, name := range v.Names {
		if name.Name == "_" || (i < len(v.Values) && isConstant(v.Values[i])) {
			continue
		}
		broken = append(broken, fmt.Sprintf("%s: variable %s: a package variable is an error, an expression that cannot be a constant, or a table; "+
			"what changes is a field of a value that is handed on", f.position(name.Pos()), name.Name))
	}
	return broken
}

// isConstant tells whether the expression is a table, or a call of one of the
// functions that stand in for constants which Go cannot write.
func isConstant(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.CompositeLit:
		return true
	case *ast.CallExpr:
		selector, ok := v.Fun.(*ast.SelectorExpr)
		return ok && (selector.Sel.Name == "New" || strings.HasPrefix(selector.Sel.Name, "Must") ||
			slices.Contains([]string{"Errorf", "Sprintf", "NewInt", "NewReplacer", "Date"}, selector.Sel.Name))
	}
	return false
}

func (f sourceFile) position(p token.Pos) string {
	return fmt.Sprintf("%s:%d", f.path, f.set.Position(p).Line)
}
