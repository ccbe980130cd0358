// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

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
