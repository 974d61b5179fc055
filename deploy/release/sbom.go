package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// writeSBOM writes the bill of materials of a program in CycloneDX's format, from what the Go linker noted in the program.
func writeSBOM(program, version, path string) error {
	var out, problems bytes.Buffer
	cmd := exec.Command("go", "tool", "cyclonedx-gomod", "bin", "-json", "-std", "-licenses", "-noserial", "-notimestamp", "-version", version, program)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cyclonedx-gomod: %w\n%s", err, problems.String())
	}
	var bill map[string]any
	if err := json.Unmarshal(out.Bytes(), &bill); err != nil {
		return fmt.Errorf("the bill of materials: %w", err)
	}
	about, isObject := bill["metadata"].(map[string]any)
	if !isObject {
		return fmt.Errorf("the bill of materials has no metadata")
	}
	// The tool names itself by the hashes of its own program, which are others on each machine.
	tools, _ := about["tools"].([]any)
	for _, tool := range tools {
		if tool, isObject := tool.(map[string]any); isObject {
			delete(tool, "hashes")
		}
	}
	if revoker, isObject := about["component"].(map[string]any); isObject {
		revoker["licenses"] = []any{map[string]any{"license": map[string]any{"id": "Apache-2.0"}}}
	}
	text, err := json.MarshalIndent(bill, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
