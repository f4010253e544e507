package config

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads a file's one document and refuses what viper would let pass:
// a second document, a key without a value (the default would silently stand),
// keys that differ in case only.
func parseYAML(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, problem("", "is empty: name what it changes, such as workloads")
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, problem("", "has more than one YAML document: keep one")
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return root, problem("", "is not a list of keys and values, such as reps: 3")
	}
	return root, checkNode(root, "")
}

func checkNode(n *yaml.Node, key string) error {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return problem(key, "has no value: give it one, or leave the key out")
		}
	case yaml.SequenceNode:
		for i, entry := range n.Content {
			if err := checkNode(entry, key+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if lower := strings.ToLower(name); lower != name {
				return problem(join(key, name), "keys are in lower case: %s", lower)
			}
			if err := checkNode(n.Content[i+1], join(key, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// lineOf returns the line of a key such as kernels[2].series, or of the nearest
// one around it that the file has; 0 when there is none.
func lineOf(n *yaml.Node, key string) int {
	line := 0
	for _, step := range strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		next, at := child(n, step)
		if next == nil {
			break
		}
		n, line = next, at
	}
	return line
}

// child returns one entry of a list or a mapping and its line; nil when there
// is none.
func child(n *yaml.Node, step string) (*yaml.Node, int) {
	if n == nil {
		return nil, 0
	}
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i].Line
		}
		return nil, 0
	}
	if n.Kind != yaml.MappingNode {
		return nil, 0
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == step {
			return n.Content[i+1], n.Content[i].Line
		}
	}
	return nil, 0
}
