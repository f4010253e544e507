package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// TestMain is also the processes that tests kill.
func TestMain(m *testing.M) {
	if cache := os.Getenv("KERNEL_TEST_SWITCH"); cache != "" {
		exit(switchForEver(cache, os.Getenv("KERNEL_TEST_SHA256")))
	}
	if text := os.Getenv("KERNEL_TEST_BUILD"); text != "" {
		var spec Spec
		if err := json.Unmarshal([]byte(text), &spec); err != nil {
			exit(err)
		}
		_, err := NewBuilder(os.Getenv("KERNEL_TEST_CACHE"), nil).Build(context.Background(), spec)
		exit(err)
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
