// SPDX-License-Identifier: GPL-3.0-only

package service_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/canonical/pebble/client"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"tls-authority/internal/control"
	"tls-authority/internal/service"
)

// TestLogs has a Loki that comes, and goes again.
func TestLogs(t *testing.T) {
	t.Parallel()
	pushed := make(chan string, 100)
	loki := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			select {
			case pushed <- r.URL.Path + " " + string(text):
			default: // nobody looks at more than the first
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(loki.Close)
	site, plan := newSite(t), newPlan(t)
	plan.Logs = []control.LogTarget{
		{Name: "loki-7-0", URL: loki.URL + "/loki/api/v1/push", Labels: map[string]string{"juju_unit": "authority/0", "odd": "<&>"}},
	}
	start(t, site, plan)
	path, body, _ := strings.Cut(<-pushed, " ")
	require.Equal(t, "/loki/api/v1/push", path)
	var got struct {
		Streams []struct {
			Stream map[string]string `json:"stream"`
			Values [][]string        `json:"values"`
		} `json:"streams"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.Equal(t, map[string]string{"juju_unit": "authority/0", "odd": "<&>", "pebble_service": "status"}, got.Streams[0].Stream)
	require.Contains(t, got.Streams[0].Values[0][1], "the spool is bad")

	pebble, daemon := processes(t, site)
	other := plan
	other.Logs = []control.LogTarget{{Name: "loki-8-0", URL: loki.URL}}
	p, d := start(t, site, other)
	require.Equal(t, []int{pebble, daemon}, []int{p, d}, "nothing restarts for a Loki")
	require.Equal(t, map[string][]string{"loki-7-0": {}, "loki-8-0": {"status"}}, targets(t, site))

	require.NoError(t, site.Restart(t.Context()))
	require.Equal(t, map[string][]string{"loki-7-0": {}, "loki-8-0": {"status"}}, targets(t, site))
	other.Logs = nil
	start(t, site, other)
	require.Equal(t, map[string][]string{"loki-7-0": {}, "loki-8-0": {}}, targets(t, site))
}

// targets are the log targets that Pebble has, with the services whose logs
// they get.
func targets(t *testing.T, site service.Keeper) map[string][]string {
	t.Helper()
	socket, err := site.Site().Socket()
	require.NoError(t, err)
	c, err := client.New(&client.Config{Socket: socket, DisableKeepAlive: true})
	require.NoError(t, err)
	text, err := c.PlanBytes(nil)
	require.NoError(t, err)
	var plan struct {
		Targets map[string]struct {
			Services []string `yaml:"services"`
		} `yaml:"log-targets"`
	}
	require.NoError(t, yaml.Unmarshal(text, &plan))
	found := map[string][]string{}
	for name, target := range plan.Targets {
		found[name] = append([]string{}, target.Services...)
	}
	return found
}
