//go:build nodev

package main

import "github.com/spf13/cobra"

const devExample = ""

func devCommands() []*cobra.Command { return nil }
