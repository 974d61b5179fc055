// Package jsonobject walks over the members of a JSON object. encoding/json is not used for it: into a struct it matches
// names whatever their case and takes the last of two members of one name, where another parser takes the first; and it
// needs a sixth of all the time that revoker spends on an event.
package jsonobject

import (
	"encoding/json"
	"errors"
)

// Walk calls member for each member of the object that text is, with its name and its value as it stands there. It ends
// with the first error that member returns. It reports whether text is an object at all. text must be valid JSON; what
// follows from invalid JSON may be a panic.
func Walk(text []byte, member func(name, value []byte) error) (object bool, err error) {
	c := cursor{text: text}
	if c.skipSpace(); c.text[c.at] != '{' {
		return false, nil
	}
	for c.next('{', ',') {
		name := c.name()
		c.next(':', ':')
		start := c.at
		c.skipValue()
		if err := member(name, text[start:c.at]); err != nil {
			return true, err
		}
	}
	return true, nil
}

// Text reads a value that must be a string.
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

// cursor walks over JSON that is known to be valid, so that it need not check anything.
type cursor struct {
	text []byte
	at   int
}

func (c *cursor) skipSpace() {
	for c.text[c.at] == ' ' || c.text[c.at] == '\t' || c.text[c.at] == '\r' || c.text[c.at] == '\n' {
		c.at++
	}
}

// next passes one of two punctuation marks and the space around it. It reports false, and passes nothing, where an object
// ends.
func (c *cursor) next(first, further byte) bool {
	c.skipSpace()
	if c.text[c.at] == first || c.text[c.at] == further {
		c.at++
		c.skipSpace()
	}
	return c.text[c.at] != '}'
}

// name passes a member's name and returns it.
func (c *cursor) name() []byte {
	start := c.at
	if escaped := c.skipString(); escaped {
		name, _ := Text(c.text[start:c.at])
		return []byte(name)
	}
	return c.text[start+1 : c.at-1]
}

func (c *cursor) skipString() (escaped bool) {
	for c.at++; c.text[c.at] != '"'; c.at++ {
		if c.text[c.at] == '\\' {
			escaped = true
			c.at++
		}
	}
	c.at++
	return escaped
}

func (c *cursor) skipValue() {
	depth := 0
	for {
		switch c.text[c.at] {
		case '"':
			c.skipString()
		case '{', '[':
			depth++
			c.at++
		case '}', ']':
			depth--
			c.at++
		case ',', ':', ' ', '\t', '\r', '\n':
			c.at++ // within an object or array
			continue
		default: // a number or a word
			for c.at < len(c.text) && !delimits(c.text[c.at]) {
				c.at++
			}
		}
		if depth == 0 {
			return
		}
	}
}

func delimits(b byte) bool {
	switch b {
	case ',', ':', '}', ']', ' ', '\t', '\r', '\n':
		return true
	}
	return false
}
