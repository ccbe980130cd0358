// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import (
	"fmt"
	"strings"
	"unicode"
)

// isHostLike tells what may be an address, in brackets or not, or a DNS name.
func isHostLike(text string) bool {
	for _, r := range text {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !strings.ContainsRune(".:*_[]-", r) {
			return false
		}
	}
	return text != ""
}

// tooManyNames is the problem of a list that is cut.
func tooManyNames() string {
	return fmt.Sprintf("sans has more than %d names: the rest is not read", maxNames)
}

// nameList collects the names of one request, and the last thing that was wrong with
// them: one Problem a list is enough to find it by.
type nameList struct {
	names   []string
	seen    map[string]bool
	problem string
}

// add appends name. Empty names ask for nothing: charms make them of empty options.
func (l *nameList) add(name string) {
	switch {
	case name == "" || l.seen[name]:
	case len(name) > maxNameSize:
		l.problem = fmt.Sprintf("a name of sans is longer than %d bytes", maxNameSize)
	case !isText(name):
		l.problem = "a name of sans is not UTF-8 text"
	default:
		if l.seen == nil {
			l.seen = map[string]bool{}
		}
		l.seen[name] = true
		l.names = append(l.names, name)
	}
}

// parseNames reads the names of a request, a JSON value that may be absent. The
// libraries write an array or null; text is one name.
func parseNames(value string) nameList {
	var list nameList
	switch documentKind(value) {
	case '[':
		_, more := eachValue(value, maxNames, func(_, element string) {
			name, isString := stringValue(element)
			if !isString {
				list.problem = "a name of sans is not text"
			}
			list.add(name)
		})
		if more {
			list.problem = tooManyNames()
		}
	case '"':
		name, _ := stringValue(value)
		list.add(name)
	case 'n', 0:
	default:
		list.problem = "sans is neither an array nor text"
	}
	return list
}

// parseTopLevelNames reads the names that go with common_name. They are JSON, but
// text that is none is taken for what its writer must have meant: a list, when
// every part of it looks like a host, and one name otherwise.
func parseTopLevelNames(text string) nameList {
	if documentKind(text) != 0 {
		return parseNames(text)
	}
	var list, single nameList
	left := maxNames
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		if !isHostLike(part) {
			single.add(text)
			return single
		}
		if left == 0 {
			list.problem = tooManyNames()
			break
		}
		left--
		list.add(part)
	}
	return list
}
