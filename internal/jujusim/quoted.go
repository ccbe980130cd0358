// SPDX-License-Identifier: GPL-3.0-only

package jujusim

import (
	"encoding/json"
	"strings"
)

// parseQuoted reads a YAML map of strings that are all in quotation marks,
// single or double, in one line of printable ASCII without spaces between them.
// Any other text is not its own, and false: our reader of YAML takes a second
// for megabytes.
func parseQuoted(text string) (map[string]string, bool) {
	isOdd := func(r rune) bool { return r < ' ' || r > '~' }
	rest, ok := strings.CutPrefix(text, "{")
	if !ok || strings.ContainsFunc(text, isOdd) {
		return nil, false
	}
	settings := map[string]string{}
	for rest != "}" {
		if len(settings) > 0 {
			if rest, ok = strings.CutPrefix(rest, ","); !ok {
				return nil, false
			}
		}
		key, after, isKey := cutQuoted(rest)
		rest, ok = strings.CutPrefix(after, ":")
		if !isKey || !ok || len(key) > 1000 { // YAML bounds keys
			return nil, false
		}
		value, after, isValue := cutQuoted(rest)
		if _, twice := settings[key]; twice || !isValue {
			return nil, false
		}
		settings[key], rest = value, after
	}
	return settings, true
}

// cutQuoted reads the text in quotation marks at the beginning of text.
func cutQuoted(text string) (value, rest string, ok bool) {
	if after, isSingle := strings.CutPrefix(text, "'"); isSingle {
		for end := 0; ; end += 2 {
			mark := strings.IndexByte(after[end:], '\'')
			if mark < 0 {
				return "", "", false
			}
			if end += mark; !strings.HasPrefix(after[end+1:], "'") {
				return strings.ReplaceAll(after[:end], "''", "'"), after[end+1:], true
			}
		}
	}
	if !strings.HasPrefix(text, `"`) {
		return "", "", false
	}
	for end := 1; end < len(text); end++ {
		switch text[end] {
		case '\\':
			end++
		case '"':
			quoted := text[:end+1]
			ok := isPlainJSON([]byte("{"+quoted)) && json.Unmarshal([]byte(quoted), &value) == nil
			return value, text[end+1:], ok
		}
	}
	return "", "", false
}
