// SPDX-License-Identifier: GPL-3.0-only

package tlscertificates

import "strings"

// scanner walks over JSON text that is known to be valid, or to have one form.
type scanner struct {
	rest   string
	failed bool
}

func (s *scanner) accept(token string) bool {
	rest, ok := strings.CutPrefix(s.rest, token)
	s.rest = rest
	return ok
}

func (s *scanner) expect(token string) {
	if !s.accept(token) {
		s.failed = true
	}
}

// quoted steps over a string and returns it with its quotes. What is between
// them is not looked at, but for where it ends.
func (s *scanner) quoted() string {
	if !strings.HasPrefix(s.rest, `"`) {
		s.failed = true
		return ""
	}
	for end := 1; ; end++ {
		i := strings.IndexByte(s.rest[end:], '"')
		if i < 0 {
			s.failed = true
			return ""
		}
		end += i
		if !escaped(s.rest, end) {
			text := s.rest[:end+1]
			s.rest = s.rest[end+1:]
			return text
		}
	}
}

// escaped tells whether an odd number of backslashes stands before a byte.
func escaped(text string, at int) bool {
	odd := false
	for at--; at >= 0 && text[at] == '\\'; at-- {
		odd = !odd
	}
	return odd
}

// space steps over white space.
func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t\r\n") }

// value steps over a value of any kind and returns it.
func (s *scanner) value() string {
	start := s.rest
	if !strings.HasPrefix(start, `"`) && !strings.HasPrefix(start, "{") && !strings.HasPrefix(start, "[") {
		// Without a look for what is not there: in a list of a million numbers
		// each look would go to its end.
		return s.word()
	}
	depth := 0
	for first := true; first || depth > 0; first = false {
		i := strings.IndexAny(s.rest, `"{}[]`)
		if i < 0 {
			s.failed = true
			return ""
		}
		s.rest = s.rest[i:]
		switch s.rest[0] {
		case '"':
			if s.quoted(); s.failed {
				return ""
			}
			continue
		case '{', '[':
			depth++
		default:
			depth--
		}
		s.rest = s.rest[1:]
	}
	return start[:len(start)-len(s.rest)]
}

// word steps over a number, true, false or null.
func (s *scanner) word() string {
	end := strings.IndexAny(s.rest, ",]} \t\r\n")
	if end < 0 {
		end = len(s.rest)
	}
	s.failed = s.failed || end == 0
	word := s.rest[:end]
	s.rest = s.rest[end:]
	return word
}
