// Package jsonobject walks over the members of a JSON object. encoding/json is not used for it: into a struct it matches
// names whatever their case and takes the last of two members of one name, where another parser takes the first; and it
// needs a sixth of all the time that revoker spends on an event.
package jsonobject

import (
	"encoding/json"
	"errors"
)

var (
	// ErrInvalid says that a text is not JSON, by RFC 8259, or is nested too deep.
	ErrInvalid = errors.New("not valid JSON")
	// ErrNotObject says that a text is JSON, but no object.
	ErrNotObject = errors.New("not a JSON object")
)

// maxDepth is how deep objects and arrays may be nested. encoding/json has the same limit.
const maxDepth = 10_000

// Walk calls member for each member of the object that text is, with its name and its value as it stands there. It ends
// with the first error that member returns. The other errors are [ErrInvalid], which may be found after some members were handed
// on, and [ErrNotObject]. Like encoding/json it takes strings that are not UTF-8.
func Walk(text []byte, member func(name, value []byte) error) error {
	c := cursor{text: text}
	c.space()
	if !c.pass('{') {
		if !c.value(maxDepth) || !c.ended() {
			return ErrInvalid
		}
		return ErrNotObject
	}
	c.space()
	for more := !c.pass('}'); more; {
		name, ok := c.name()
		if !ok {
			return ErrInvalid
		}
		c.space()
		start := c.at
		if !c.value(maxDepth - 1) {
			return ErrInvalid
		}
		if err := member(name, text[start:c.at]); err != nil {
			return err
		}
		c.space()
		if more = c.pass(','); more {
			c.space()
		} else if !c.pass('}') {
			return ErrInvalid
		}
	}
	if !c.ended() {
		return ErrInvalid
	}
	return nil
}

// Text reads a value, as Walk hands it on, that must be a string.
func Text(value []byte) (string, error) {
	if len(value) < 2 || value[0] != '"' {
		return "", errors.New("is not a string")
	}
	for _, b := range value {
		if b == '\\' || b >= 0x80 { // an escape, or what may be invalid UTF-8
			var text string
			err := json.Unmarshal(value, &text)
			return text, err
		}
	}
	return string(value[1 : len(value)-1]), nil
}

// cursor walks over JSON and checks it. Its methods report whether what they passed is valid.
type cursor struct {
	text []byte
	at   int
}

// next is the next byte, 0 at the end; JSON has no zero byte.
func (c *cursor) next() byte {
	if c.at == len(c.text) {
		return 0
	}
	return c.text[c.at]
}

// pass passes b if it is next.
func (c *cursor) pass(b byte) bool {
	if c.next() != b || c.at == len(c.text) {
		return false
	}
	c.at++
	return true
}

func (c *cursor) space() {
	for {
		switch c.next() {
		case ' ', '\t', '\r', '\n':
			c.at++
		default:
			return
		}
	}
}

func (c *cursor) ended() bool {
	c.space()
	return c.at == len(c.text)
}

// name passes a member's name and the colon behind it.
func (c *cursor) name() (name []byte, ok bool) {
	start := c.at
	escaped, ok := c.string()
	name = c.text[start:c.at]
	c.space()
	if !ok || !c.pass(':') {
		return nil, false
	}
	if escaped {
		unescaped, _ := Text(name)
		return []byte(unescaped), true
	}
	return name[1 : len(name)-1], true
}

// value passes a value, of which objects and arrays are nested to depth at the most. It does not call itself, so that what
// somebody else nested does not grow the stack.
func (c *cursor) value(depth int) bool {
	var few [16]byte
	open := few[:0] // the brackets
	for {
		switch b := c.next(); b {
		case '{', '[':
			if len(open) == depth {
				return false
			}
			open = append(open, b)
			c.at++
			c.space()
			if c.next() != closing(b) {
				if b == '{' && !c.skipName() {
					return false
				}
				continue
			}
		case '"':
			if _, ok := c.string(); !ok {
				return false
			}
		default:
			if !c.numberOrWord() {
				return false
			}
		}
		for more := false; !more; {
			if len(open) == 0 {
				return true
			}
			innermost := open[len(open)-1]
			c.space()
			switch {
			case c.pass(closing(innermost)):
				open = open[:len(open)-1]
			case c.pass(','):
				c.space()
				if innermost == '{' && !c.skipName() {
					return false
				}
				more = true
			default:
				return false
			}
		}
	}
}

// skipName is name for those that nobody wants to know.
func (c *cursor) skipName() bool {
	if _, ok := c.string(); !ok {
		return false
	}
	c.space()
	if !c.pass(':') {
		return false
	}
	c.space()
	return true
}

func closing(bracket byte) byte { return bracket + 2 } // in ASCII

func (c *cursor) string() (escaped, ok bool) {
	if !c.pass('"') {
		return false, false
	}
	for ; c.at < len(c.text); c.at++ {
		switch b := c.text[c.at]; {
		case b == '"':
			c.at++
			return escaped, true
		case b < ' ':
			return escaped, false
		case b == '\\':
			escaped = true
			c.at++
			if !c.escape() {
				return escaped, false
			}
		}
	}
	return escaped, false
}

// escape checks what follows a backslash, and stops at its last byte.
func (c *cursor) escape() bool {
	switch c.next() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			c.at++
			if b := c.next(); !isDigit(b) && (b < 'a' || b > 'f') && (b < 'A' || b > 'F') {
				return false
			}
		}
		return true
	}
	return false
}

func (c *cursor) numberOrWord() bool {
	for _, word := range []string{"true", "false", "null"} {
		if c.next() == word[0] {
			start := c.at
			c.at = min(start+len(word), len(c.text))
			return string(c.text[start:c.at]) == word
		}
	}
	c.pass('-')
	if !c.pass('0') && !c.digits() {
		return false
	}
	if c.pass('.') && !c.digits() {
		return false
	}
	if c.pass('e') || c.pass('E') {
		if !c.pass('+') {
			c.pass('-')
		}
		return c.digits()
	}
	return true
}

func (c *cursor) digits() bool {
	start := c.at
	for isDigit(c.next()) {
		c.at++
	}
	return c.at > start
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
