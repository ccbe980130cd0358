// SPDX-License-Identifier: GPL-3.0-only

package hooktools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tls-authority/internal/juju"
	"tls-authority/internal/jujusim"
)

// version is that of the Juju whose tools are linked with this test.
const version = "3.5.4"

const (
	ours   = "ca" // the application with the charm's metadata
	theirs = "web"
)

// line is one call of a tool.
type line struct {
	words string // tool and arguments, separated by "|"; <1> is the first secret
	stdin string
	// differs says why the simulator is meant to answer otherwise.
	differs string
	// before is done to the model just before the call.
	before func(*jujusim.Model) error
}

func lines(words ...string) []line {
	var all []line
	for _, w := range words {
		all = append(all, line{words: w})
	}
	return all
}

// answer is all that a caller gets of a tool.
type answer struct {
	code           int
	stdout, stderr string
	refused        string // by the agent
}

// scene is a hook in which calls are made. relation is the number of the
// relation with theirs.
type scene struct {
	unit, hook, remote string
	// earlier are calls in an update-status of the leader before, whose
	// answers are compared too.
	earlier []line
	prepare func(m *jujusim.Model, relation int) error
	// trigger leads to the hook; nil asks the unit for update-status.
	trigger func(m *jujusim.Model, relation int) error
	// exit is the status that the hook ends with.
	exit  int
	calls []line
}

// play makes the calls of a scene in a new model and returns what was
// answered, and what the model looks like when all is over.
func play(t *testing.T, s scene, serve func(jujusim.HookContext) ([]string, func(), error)) ([]answer, []string) {
	t.Helper()
	p := &player{}
	m, err := jujusim.New(jujusim.Options{
		Version: version, Serve: serve, Cache: filepath.Join(scratch, "unpacked"), Program: p.dispatch,
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	})
	require.NoError(t, err)
	defer m.Close()
	p.model = m
	require.NoError(t, m.Deploy(charmPath(t), ours, 2))
	require.NoError(t, m.AddStandIn(theirs, 2))
	relation, err := m.Relate(ours+":certificates", theirs+":certificates")
	require.NoError(t, err)
	require.NoError(t, m.SetBag(relation, theirs+"/0", map[string]string{"common_name": "web-0", "text": "two\nlines\n", "odd": "\u00e9 \"quoted\" <&> 1"}))
	require.NoError(t, m.SetBag(relation, theirs, map[string]string{"shared": "yes"}))
	require.NoError(t, m.Settle())
	require.NoError(t, m.SetLeader(ours+"/0"))
	require.NoError(t, m.Settle())
	if s.prepare != nil {
		require.NoError(t, s.prepare(m, relation))
		require.NoError(t, m.Settle())
	}
	for _, secret := range m.Secrets() {
		p.named.short(secret.ID)
	}
	if s.earlier != nil {
		p.scene = &scene{unit: ours + "/0", hook: "update-status", calls: s.earlier}
		require.NoError(t, m.UpdateStatus(ours+"/0"))
		require.Nil(t, p.scene, "the earlier hook never ran")
	}
	p.scene = &s
	if s.trigger == nil {
		require.NoError(t, m.Queue(s.unit, s.hook))
	} else {
		require.NoError(t, s.trigger(m, relation))
	}
	err = m.Settle()
	if err != nil {
		require.ErrorContains(t, err, s.hook)
	}
	require.NoError(t, p.err)
	require.Nil(t, p.scene, "the hook never ran")
	require.Len(t, p.answers, len(s.earlier)+len(s.calls))
	return p.answers, append(aftermath(m, relation), fmt.Sprint("failed: ", err != nil))
}

// player is the charm of a model: it makes the calls of a scene in the hook
// that it is of, once.
type player struct {
	model   *jujusim.Model
	scene   *scene
	answers []answer
	named   secretNames
	err     error
}

func (p *player) dispatch(_ context.Context, environ []string, dir string, _, _ io.Writer) int {
	env, s := variables(environ), p.scene
	_, hook, _ := strings.Cut(env["JUJU_DISPATCH_PATH"], "/")
	if s == nil || env["JUJU_UNIT_NAME"] != s.unit || hook != s.hook || env["JUJU_REMOTE_UNIT"] != s.remote {
		return 0
	}
	p.scene = nil
	client, err := rpc.Dial(env["JUJU_AGENT_SOCKET_NETWORK"], env["JUJU_AGENT_SOCKET_ADDRESS"])
	if err != nil {
		p.err = err
		return s.exit
	}
	defer client.Close()
	for _, l := range s.calls {
		if l.before != nil {
			p.err = errors.Join(p.err, l.before(p.model))
		}
		p.answers = append(p.answers, ask(client, env["JUJU_CONTEXT_ID"], dir, l, &p.named))
	}
	return s.exit
}

func variables(environ []string) map[string]string {
	env := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

func ask(client *rpc.Client, id, dir string, l line, named *secretNames) answer {
	words := strings.Split(named.real(l.words), "|")
	request := juju.Request{ContextId: id, Dir: dir, CommandName: words[0], Args: words[1:], StdinSet: l.stdin != "", Stdin: []byte(l.stdin)}
	var response juju.Response
	err := client.Call(juju.ServiceMethod, request, &response)
	a := answer{code: response.Code, stdout: named.short(string(response.Stdout)), stderr: named.short(string(response.Stderr))}
	if err != nil {
		a.refused = err.Error()
	}
	return a
}

// secretNames stands <1>, <2>, … for the ids of secrets, which are random.
type secretNames []string

var secretID = regexp.MustCompile(`\b[0-9a-v]{20}\b`)

func (s *secretNames) short(text string) string {
	return secretID.ReplaceAllStringFunc(text, func(id string) string {
		i := slices.Index(*s, id)
		if i < 0 {
			i = len(*s)
			*s = append(*s, id)
		}
		return fmt.Sprintf("<%d>", i+1)
	})
}

func (s *secretNames) real(text string) string {
	for i, id := range *s {
		text = strings.ReplaceAll(text, fmt.Sprintf("<%d>", i+1), id)
	}
	return text
}

// aftermath is what calls may have changed in the model.
func aftermath(m *jujusim.Model, relation int) []string {
	var found []string
	for _, owner := range []string{ours, ours + "/0", ours + "/1", theirs, theirs + "/0"} {
		for _, id := range []int{0, relation} {
			text, _ := json.Marshal(m.Bag(id, owner))
			found = append(found, fmt.Sprintf("%s in %d: %s", owner, id, text))
		}
	}
	for _, s := range m.Secrets() {
		content, _ := json.Marshal(m.SecretContent(s.ID))
		s.ID = ""
		found = append(found, fmt.Sprintf("secret: %+v %s", s, content))
	}
	for _, unit := range []string{ours + "/0", ours + "/1"} {
		name, message := m.Status(unit)
		found = append(found, fmt.Sprintf("status of %s: %s %q", unit, name, message))
	}
	for _, l := range m.Log() {
		if strings.HasSuffix(l.Module, ".juju-log") {
			found = append(found, fmt.Sprintf("log: %s %s %s", l.Module, l.Level, l.Message))
		}
	}
	return found
}

// TestTheSimulatorAnswersAsJuju replays every call against Juju's tools and the
// simulator's.
func TestTheSimulatorAnswersAsJuju(t *testing.T) {
	t.Parallel()
	total := 0
	for name, s := range scenes() {
		all := slices.Concat(s.earlier, s.calls)
		total += len(all)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, after := play(t, s, serveSocket)
			got, sameAfter := play(t, s, nil)
			for i, l := range all {
				if l.differs != "" {
					require.NotEqual(t, want[i], got[i], "no difference any more: %s", l.words)
					continue
				}
				if want[i] != got[i] {
					t.Errorf("%s\n Juju:      %+v\n simulator: %+v", l.words, want[i], got[i])
				}
			}
			require.Equal(t, after, sameAfter)
		})
	}
	t.Logf("%d calls are compared", total)
}
