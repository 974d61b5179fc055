package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable prints every variable with its default, range and description, for a terminal.
func WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var cfg Config
	for _, v := range variables(&cfg) {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", v.name, v.shownDefault(), v.tag.Get("desc")+v.shownRange())
	}
	return table.Flush()
}

// WriteMarkdown prints the same as a Markdown table, for the README.
func WriteMarkdown(w io.Writer) error {
	var text strings.Builder
	text.WriteString("| variable | default | |\n|---|---|---|\n")
	var cfg Config
	for _, v := range variables(&cfg) {
		shown := ""
		if d := v.shownDefault(); d != "" {
			shown = "`" + d + "`"
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s |\n", v.name, shown, v.tag.Get("desc")+v.shownRange())
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
		fmt.Fprintf(&text, "\n# %s\n#%s=%s\n", v.tag.Get("desc")+v.shownRange(), v.name, v.tag.Get("default"))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (v variable) shownDefault() string {
	value := v.tag.Get("default")
	if unit := v.tag.Get("unit"); unit != "" && value != "" {
		value += " " + unit
	}
	return value
}

func (v variable) shownRange() string {
	if low, high := v.tag.Get("min"), v.tag.Get("max"); low != "" {
		return fmt.Sprintf(" From %s to %s.", low, high)
	}
	return ""
}
