package config

import "strings"

// SubjectMatches reports whether the NATS subject pattern, which may have the wildcards * and >, matches every subject
// that subject does. See https://docs.nats.io/nats-concepts/subjects#wildcards.
func SubjectMatches(pattern, subject string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range want {
		if token == ">" {
			return len(have) > i
		}
		if i >= len(have) || have[i] == ">" || (token != "*" && token != have[i]) {
			return false
		}
	}
	return len(want) == len(have)
}

// validSubject reports whether s is a subject, wildcards included.
func validSubject(s string) bool {
	tokens := strings.Split(s, ".")
	for i, token := range tokens {
		if token == "" || strings.ContainsAny(token, " \t\r\n") {
			return false
		}
		if len(token) > 1 && strings.ContainsAny(token, "*>") || token == ">" && i < len(tokens)-1 {
			return false
		}
	}
	return true
}

// HasWildcard reports whether a subject, or a filter of subjects, stands for several.
func HasWildcard(subject string) bool { return strings.ContainsAny(subject, "*>") }
