// SPDX-License-Identifier: GPL-3.0-only

package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is a section of what the benchmark prints.
type table struct {
	title string
	notes []string
	head  []string
	rows  [][]string
}

func writeTables(out io.Writer, tables []table) error {
	var text strings.Builder
	for _, t := range tables {
		if len(t.rows) > 0 {
			t.write(&text)
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// write aligns the first column to the left and the others, which are figures,
// to the right.
func (t table) write(text *strings.Builder) {
	fmt.Fprintf(text, "\n%s\n", t.title)
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range append([][]string{t.head}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString("  " + cell + padding)
			} else {
				line.WriteString("  " + padding + cell)
			}
		}
		fmt.Fprintln(text, strings.TrimRight(line.String(), " "))
	}
	for _, note := range t.notes {
		fmt.Fprintf(text, "  %s\n", note)
	}
}

// formatSeconds writes a time with three digits in the unit that suits it.
func formatSeconds(seconds float64) string {
	switch {
	case seconds == 0:
		return "-"
	case seconds < 999.5e-6: // what is more would be written as 1,000 of the unit
		return digits(seconds*1e6) + " µs"
	case seconds < 999.5e-3:
		return digits(seconds*1e3) + " ms"
	}
	return digits(seconds) + " s"
}

// formatBytes writes a size with three digits, in powers of 1,000.
func formatBytes(bytes int64) string {
	size := float64(bytes)
	switch {
	case bytes == 0:
		return "-"
	case size < 1e3:
		return strconv.FormatInt(bytes, 10) + " B"
	case size < 999.5e3:
		return digits(size/1e3) + " kB"
	case size < 999.5e6:
		return digits(size/1e6) + " MB"
	}
	return digits(size/1e9) + " GB"
}

// formatMemory writes what the kernel counts in KiB.
func formatMemory(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return digits(float64(bytes)/(1<<20)) + " MiB"
}

func formatRatio(r float64) string {
	if math.IsNaN(r) || math.IsInf(r, 0) || r == 0 {
		return "-"
	}
	return digits(r) + "×"
}

// digits writes three significant digits, and whole numbers in full.
func digits(value float64) string {
	switch size := math.Abs(value); {
	case size >= 99.95:
		return grouped(int64(math.Round(value)))
	case size >= 9.995:
		return strconv.FormatFloat(value, 'f', 1, 64)
	}
	return strconv.FormatFloat(value, 'f', 2, 64)
}

// grouped writes a count that is not negative with a comma before each
// thousand.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// divide is 0 where there is nothing to divide by.
func divide(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
