package terminal

// What a terminal is told: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
const (
	EnterScreen = "\x1b[?1049h\x1b[?25l" // the alternate screen, without a cursor
	LeaveScreen = "\x1b[?25h\x1b[?1049l"
	ToTop       = "\x1b[H"
	ClearLine   = "\x1b[K"
	ClearBelow  = "\x1b[J"
)
