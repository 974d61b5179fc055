// Package terminal is what the commands share for their output: text that no terminal obeys, numbers and times for people, JSON,
// progress, questions and the log.
package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// CanAsk reports whether there is somebody at in to answer a question.
func CanAsk(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Width returns how many columns w has, or 0 if it is not a terminal.
func Width(w io.Writer) int {
	width, _ := Size(w)
	return width
}

// Size returns how many columns and lines w has, or 0 if it is not a terminal.
func Size(w io.Writer) (width, height int) {
	file, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	width, height, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// Printable escapes what a terminal might obey, or show other than it is: control and format characters, and invalid
// UTF-8. Only those in keep are left, a line feed for example.
func Printable(text, keep string) string {
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case unicode.IsPrint(r), strings.ContainsRune(keep, r):
			out.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return out.String()
}

// Cut shortens a line to width characters; 0 leaves it as it is.
func Cut(line string, width int) string {
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}

// errNotConfirmed is what a declined question ends with.
var errNotConfirmed = errors.New("not confirmed; nothing was done")

// Confirm asks a question on the terminal that in is. ctx ends the wait for an answer, and leaves its reader behind: the
// process ends soon.
func Confirm(ctx context.Context, in io.Reader, errOut io.Writer, question string) error {
	fmt.Fprintf(errOut, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(errOut)
		return errNotConfirmed
	case line := <-answer:
		if line == "y" || line == "yes" {
			return nil
		}
		return errNotConfirmed
	}
}
