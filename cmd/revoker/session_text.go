package main

import (
	"fmt"
	"strings"
	"time"

	"revoker/cmd/revoker/terminal"
	"revoker/events/peer"
	"revoker/events/sessions"
)

// answerText is the answer for people: what the session is, then what else was found, and what could not be.
func answerText(a sessions.Answer, now time.Time) string {
	var text strings.Builder
	line := func(format string, args ...any) {
		fmt.Fprintln(&text, terminal.Printable(fmt.Sprintf(format, args...), ""))
	}
	switch a.State {
	case sessions.Revoked:
		line("%s", receiptText(a.Receipt))
	case sessions.Queued:
		line("queued since %s, as event %d of the %s lane: not tried yet", terminal.Moment(a.Event.Published), a.Event.Sequence, a.Event.Lane)
	case sessions.Waiting:
		line("waiting, %s", nextText(a.Event.Next, now))
	case sessions.Delivered:
		line("delivered as event %d of the %s lane: in work, or waiting for its next attempt; no worker tells%s", a.Event.Sequence, a.Event.Lane, unlessSettled(a))
	case sessions.DeadLetter:
		line("%s", letterLine(a.DeadLetters[len(a.DeadLetters)-1]))
	default:
		line("%s", notFoundText(a))
	}
	if a.Receipt != nil && a.State != sessions.Revoked {
		line("before that: %s", receiptText(a.Receipt))
	}
	for i, l := range a.DeadLetters {
		if a.State != sessions.DeadLetter || i < len(a.DeadLetters)-1 {
			line("before that: %s", letterLine(l))
		}
	}
	line("session %s", a.Session)
	for _, looked := range []struct {
		what string
		*sessions.Looked
	}{{"events that may wait", a.Events}, {"dead letters", a.Letters}} {
		if !looked.Whole() && a.State != sessions.Revoked && a.Event == nil {
			line("looked at %d of %d %s", looked.At, looked.Of, looked.what)
		}
	}
	for _, unknown := range a.Unknown {
		line("unknown: %s", unknown)
	}
	return text.String()
}

func receiptText(r *sessions.Receipt) string {
	parts := []string{
		"revoked at " + r.RevokedAt.UTC().Format("2006-01-02T15:04:05.000Z"), terminal.Counted(r.TokensDeleted, "token"), ordinal(r.Attempts) + " attempt",
	}
	if r.SinceEnded != nil {
		parts = append(parts, inMilliseconds(*r.SinceEnded)+" after the logout")
	} else {
		parts = append(parts, inMilliseconds(r.SincePublished)+" after the event")
	}
	if r.Source != "" {
		parts = append(parts, "from "+r.Source)
	}
	return strings.Join(parts, ", ")
}

func inMilliseconds(n int64) string {
	d := time.Duration(n) * time.Millisecond
	if d < time.Minute {
		return d.String()
	}
	return terminal.Seconds(int(d.Seconds()))
}

func nextText(next *peer.NextAttempt, now time.Time) string {
	text := ordinal(next.Attempts+1) + " attempt "
	if wait := next.Due.Sub(now).Round(time.Second); wait > 0 {
		text += "in " + terminal.Seconds(int(wait.Seconds()))
	} else {
		text += "due, or in work"
	}
	if next.Status != 0 {
		text += fmt.Sprintf("; the last answer was HTTP %d", next.Status)
	}
	if next.ResultCode != "" {
		text += ", " + next.ResultCode
	}
	return text
}

func unlessSettled(a sessions.Answer) string {
	if a.OldestReceipt == nil {
		return ". Without receipts it may be settled as well"
	}
	return ""
}

func letterLine(l sessions.Letter) string {
	text := fmt.Sprintf("dead letter %d: %s", l.Sequence, l.Reason)
	if l.ResultCode != "" {
		text += " " + l.ResultCode
	}
	text += " at " + terminal.Moment(l.Stored)
	if l.Error != "" {
		text += ": " + l.Error
	}
	return text
}

// caveat stands wherever nothing was found.
const caveat = "The session may be revoked all the same, or unknown"

func notFoundText(a sessions.Answer) string {
	switch {
	case a.OldestReceipt != nil:
		return fmt.Sprintf("no receipt since %s, the oldest that is kept. %s", terminal.Moment(*a.OldestReceipt), caveat)
	case len(a.Unknown) == 0:
		return "no receipt: there is none at all yet. " + caveat
	}
	return "not found. " + caveat
}

// ordinal is the number of an attempt, in words where people use them.
func ordinal(n int) string {
	words := []string{"first", "second", "third", "fourth", "fifth"}
	if n >= 1 && n <= len(words) {
		return words[n-1]
	}
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}
