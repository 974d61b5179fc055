package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// notes are what CHANGELOG.md says of a version.
type notes struct {
	text string
	date time.Time // of the release, midnight UTC
}

var heading = regexp.MustCompile(`(?m)^## (\S+)(?: - (\d{4}-\d{2}-\d{2}))?$`)

// readNotes refuses a version without notes, or without a date: it is not released before somebody has written what changed.
func readNotes(root, version string) (notes, error) {
	changelog, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		return notes{}, err
	}
	text := string(changelog)
	sections := heading.FindAllStringSubmatchIndex(text, -1)
	for i, at := range sections {
		if text[at[2]:at[3]] != version {
			continue
		}
		if at[4] < 0 {
			return notes{}, fmt.Errorf("CHANGELOG.md has no date for %s: the heading must be `## %s - YYYY-MM-DD`", version, version)
		}
		date, err := time.Parse(time.DateOnly, text[at[4]:at[5]])
		if err != nil {
			return notes{}, fmt.Errorf("CHANGELOG.md: the date of %s: %w", version, err)
		}
		end := len(text)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		}
		said := strings.TrimSpace(text[at[1]:end])
		if said == "" {
			return notes{}, fmt.Errorf("CHANGELOG.md says nothing of %s", version)
		}
		return notes{text: said + "\n", date: date}, nil
	}
	return notes{}, fmt.Errorf("CHANGELOG.md has no section for %s", version)
}
