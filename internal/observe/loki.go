// SPDX-License-Identifier: GPL-3.0-only

package observe

import (
	"encoding/json"
	"errors"
	"net/url"
)

// KeyLokiEndpoint is the key of a provider of loki_push_api, in the databag of
// each of its units.
const KeyLokiEndpoint = "endpoint"

// maxLokiEndpoint is far more than a URL needs, in bytes.
const maxLokiEndpoint = 4 << 10

// ParseLokiEndpoint reads where a unit of Loki takes in logs. The URL is
// absolute, over HTTP or HTTPS. An error does not quote it: it may hold a
// password.
func ParseLokiEndpoint(text string) (string, error) {
	if len(text) > maxLokiEndpoint {
		return "", errors.New("cannot read the endpoint: it is too long")
	}
	var endpoint struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal([]byte(text), &endpoint); err != nil {
		return "", errors.New("cannot read the endpoint: it is no JSON with a url")
	}
	parsed, err := url.Parse(endpoint.URL)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "" {
		return "", errors.New("cannot read the endpoint: its url is none of HTTP")
	}
	return endpoint.URL, nil
}
