// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import "strings"

// Diff returns what must be written to turn the owned keys of current into desired:
// the keys that are new or changed, and "" for the owned keys that are not desired.
// It is empty when nothing must be written. Other keys of current stay as they are.
func Diff(current, desired Bag, owned func(key string) bool) Bag {
	changes := Bag{}
	for key, value := range desired {
		if current[key] != value {
			changes[key] = value
		}
	}
	for key, value := range current {
		if value != "" && desired[key] == "" && owned(key) {
			changes[key] = ""
		}
	}
	return changes
}

// DiffPieces is Diff for values in pieces that follow one another. It puts none
// together.
func DiffPieces(current Bag, desired map[string][]string, owned func(key string) bool) map[string][]string {
	changes := map[string][]string{}
	for key, pieces := range desired {
		if !isJoined(current[key], pieces) {
			changes[key] = pieces
		}
	}
	for key, value := range current {
		if value != "" && isJoined("", desired[key]) && owned(key) {
			changes[key] = nil
		}
	}
	return changes
}

func isJoined(text string, pieces []string) bool {
	for _, piece := range pieces {
		rest, ok := strings.CutPrefix(text, piece)
		if !ok {
			return false
		}
		text = rest
	}
	return text == ""
}
