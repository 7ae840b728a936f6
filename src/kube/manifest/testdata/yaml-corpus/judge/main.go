// Reads documents, one JSON object a line on standard input ({"text": …} or {"base64": …}), and writes what kubectl reads
// in each: {"docs": […]}, {"error": …, "line": …} or, where kubectl keeps the last of two equal keys, {"twice": …}.
//
// The path is kubectl's (k8s.io/cli-runtime, FileVisitor and StreamVisitor): byte order marks and bytes that are no UTF-8
// by golang.org/x/text, documents by k8s.io/apimachinery's YAMLOrJSONDecoder, each by sigs.k8s.io/yaml and go-yaml v2.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"

	goyaml "go.yaml.in/yaml/v2"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

type reading struct {
	Docs  []json.RawMessage `json:"docs,omitempty"`
	Error string            `json:"error,omitempty"`
	// Of the whole text, where the parser names one.
	Line  int    `json:"line,omitempty"`
	Twice string `json:"twice,omitempty"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var document struct{ Text, Base64 string }
			if err := json.Unmarshal(line, &document); err != nil {
				panic(err)
			}
			data := []byte(document.Text)
			if document.Base64 != "" {
				if data, err = base64.StdEncoding.DecodeString(document.Base64); err != nil {
					panic(err)
				}
			}
			encoder.Encode(read(data))
		}
		if err == io.EOF {
			return
		}
	}
}

func read(data []byte) (found reading) {
	defer func() {
		if r := recover(); r != nil {
			found = reading{Error: fmt.Sprintf("panic: %v", r)}
		}
	}()
	decoded, err := io.ReadAll(transform.NewReader(bytes.NewReader(data), unicode.BOMOverride(unicode.UTF8.NewDecoder())))
	if err != nil {
		return reading{Error: err.Error()}
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(decoded), 4096)
	found.Docs = []json.RawMessage{}
	for count := 0; ; count++ {
		object := runtime.RawExtension{}
		if err := decoder.Decode(&object); err == io.EOF {
			break
		} else if err != nil {
			return reading{Error: err.Error(), Line: lineOf(err, decoded, count)}
		}
		raw := bytes.TrimSpace(object.Raw)
		if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
			found.Docs = append(found.Docs, raw)
		}
	}
	if key, ok := twice(decoded); ok {
		return reading{Twice: key}
	}
	return found
}

var lineNumber = regexp.MustCompile(`yaml: line (\d+):`)

// The line of the text that an error names; 0 when it names none. The parser counts from where its document begins.
func lineOf(err error, text []byte, document int) int {
	match := lineNumber.FindStringSubmatch(err.Error())
	if match == nil || yaml.IsJSONBuffer(text) {
		return 0
	}
	line, _ := strconv.Atoi(match[1])
	starts := []int{0}
	used := false
	for i, each := range bytes.SplitAfter(text, []byte("\n")) {
		if bytes.HasPrefix(each, []byte("---")) && used {
			starts = append(starts, i+1)
			used = false
		} else {
			used = true
		}
	}
	return starts[document] + line
}

// A key that one map holds twice, as it is written: merged keys may be set again.
func twice(text []byte) (string, bool) {
	rest := text
	if yaml.IsJSONBuffer(text) {
		decoder := json.NewDecoder(bytes.NewReader(text))
		for {
			var raw json.RawMessage
			before := decoder.InputOffset()
			if err := decoder.Decode(&raw); err == io.EOF {
				return "", false
			} else if err != nil {
				rest = text[before:]
				break
			}
			if key, ok := twiceInJSON(json.NewDecoder(bytes.NewReader(raw))); ok {
				return key, true
			}
		}
		rest = bytes.TrimLeft(rest, " \t\r")
		if newline := bytes.IndexByte(rest, '\n'); newline >= 0 && len(bytes.TrimSpace(rest[:newline])) == 0 {
			rest = rest[newline+1:]
		}
	}
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(rest)))
	for {
		piece, err := reader.Read()
		if err != nil {
			return "", false
		}
		var root anyNode
		if err := goyaml.Unmarshal(piece, &root); err != nil {
			return "", false
		}
		if key, ok := twiceIn(root.value); ok {
			return key, true
		}
	}
}

func twiceInJSON(decoder *json.Decoder) (string, bool) {
	token, _ := decoder.Token()
	delim, _ := token.(json.Delim)
	if delim == '{' || delim == '[' {
		seen := map[string]bool{}
		for decoder.More() {
			if delim == '{' {
				key, _ := decoder.Token()
				if seen[key.(string)] {
					return key.(string), true
				}
				seen[key.(string)] = true
			}
			if key, ok := twiceInJSON(decoder); ok {
				return key, true
			}
		}
		decoder.Token()
	}
	return "", false
}

// A value whose maps are lists of their entries.
type anyNode struct{ value any }

func (n *anyNode) UnmarshalYAML(unmarshal func(any) error) error {
	var list []anyNode
	if unmarshal(&list) == nil {
		n.value = list
		return nil
	}
	var entries goyaml.MapSlice
	if unmarshal(&entries) == nil {
		n.value = entries
		return nil
	}
	var scalar any
	var typeError *goyaml.TypeError
	if err := unmarshal(&scalar); err != nil && !errors.As(err, &typeError) {
		return err
	}
	return nil
}

func twiceIn(value any) (string, bool) {
	switch value := value.(type) {
	case goyaml.MapSlice:
		seen := map[string]bool{}
		for _, entry := range value {
			text := fmt.Sprint(entry.Key)
			if number, ok := entry.Key.(float64); ok {
				text = strconv.FormatFloat(number, 'g', -1, 32)
			}
			if seen[text] {
				return text, true
			}
			seen[text] = true
			if key, ok := twiceIn(entry.Value); ok {
				return key, true
			}
		}
	case []anyNode:
		for _, item := range value {
			if key, ok := twiceIn(item.value); ok {
				return key, true
			}
		}
	default:
		if list := reflect.ValueOf(value); list.Kind() == reflect.Slice {
			for i := range list.Len() {
				if key, ok := twiceIn(list.Index(i).Interface()); ok {
					return key, true
				}
			}
		}
	}
	return "", false
}
