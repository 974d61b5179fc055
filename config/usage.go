package config

import (
	"fmt"
	"io"
	"strings"
)

// lineWidth is the widest line that a terminal is sure to show whole.
const lineWidth = 80

// WriteTable prints every variable with its default, range and description, for a terminal.
func WriteTable(w io.Writer) error {
	var text strings.Builder
	var cfg Config
	for _, v := range variables(&cfg) {
		text.WriteString("  " + v.name)
		if d := v.tag.Get("default"); d != "" {
			text.WriteString(" (default " + d + ")")
		}
		line := "\n     "
		for word := range strings.FieldsSeq(v.description()) {
			if len(line)+1+len(word) > lineWidth {
				text.WriteString(line)
				line = "\n     "
			}
			line += " " + word
		}
		text.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// WriteMarkdown prints the same as a Markdown table, for README.md beside this file.
func WriteMarkdown(w io.Writer) error {
	var text strings.Builder
	text.WriteString("| variable | default | |\n|---|---|---|\n")
	var cfg Config
	for _, v := range variables(&cfg) {
		shown := ""
		if d := v.tag.Get("default"); d != "" {
			shown = "`" + d + "`"
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s |\n", v.name, shown, v.description())
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// WriteEnvFile prints an environment file, as systemd and container engines read it, in which every variable stands as a
// comment with its default.
func WriteEnvFile(w io.Writer) error {
	var text strings.Builder
	text.WriteString("# revoker's configuration: NAME=value, one a line. Remove the # before what you change.\n")
	var cfg Config
	for _, v := range variables(&cfg) {
		fmt.Fprintf(&text, "\n# %s\n#%s=%s\n", v.description(), v.name, v.tag.Get("default"))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// description is the sentence of the declaration with the range and the unit.
func (v variable) description() string {
	text := v.tag.Get("desc")
	if low, high := v.tag.Get("min"), v.tag.Get("max"); low != "" {
		text += fmt.Sprintf(" From %s to %s %s", low, high, v.tag.Get("unit"))
		text = strings.TrimSpace(text) + "."
	}
	return text
}
