package sourcefs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The images are those that go generate describes. Magic numbers: struct
// ext4_super_block, struct xfs_dsb.
func TestImages(t *testing.T) {
	for _, tc := range []struct {
		name    string
		size    int
		magicAt int
		magic   string
		uuidAt  int
		uuid    string
	}{
		{name: Ext4, size: 64 << 20, magicAt: 1024 + 0x38, magic: "\x53\xef", uuidAt: 1024 + 0x68, uuid: "73706c6963656c616200000000000003"},
		{name: XFS, size: 64 << 20, magicAt: 0, magic: "XFSB", uuidAt: 32, uuid: "73706c6963656c616200000000000005"},
	} {
		r, err := Open(tc.name)
		if err != nil {
			t.Fatal(err)
		}
		image, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if len(image) != tc.size || !bytes.HasPrefix(image[tc.magicAt:], []byte(tc.magic)) {
			t.Errorf("%s: %d bytes, magic %q", tc.name, len(image), image[tc.magicAt:][:4])
		}
		if got := hex.EncodeToString(image[tc.uuidAt:][:16]); got != tc.uuid {
			t.Errorf("%s: uuid %s, want %s", tc.name, got, tc.uuid)
		}
		if bytes.Count(image, []byte{0}) < len(image)*99/100 {
			t.Errorf("%s isn't empty", tc.name)
		}
	}
	if _, err := Open("ext5"); !errors.Is(err, ErrUnknown) {
		t.Errorf("ext5: %v", err)
	}
}

// disk remembers what was written to it, by offset.
type disk map[int64]int

func (d disk) WriteAt(b []byte, at int64) (int, error) {
	d[at] = len(b)
	return len(b), nil
}

func TestCopySparse(t *testing.T) {
	const block = 64 << 10
	image := make([]byte, 4*block+100)
	image[2*block-1] = 1
	image[3*block] = 1
	image[4*block+50] = 1
	got := disk{}
	if err := copySparse(got, bytes.NewReader(image)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(disk{block: block, 3 * block: block, 4 * block: 100}, got); diff != "" {
		t.Error(diff)
	}
}

// An image that is cut off must not pass for a short one.
func TestCopySparseFails(t *testing.T) {
	torn := io.MultiReader(bytes.NewReader(make([]byte, 100<<10)), &failing{})
	if err := copySparse(disk{}, torn); !errors.Is(err, errTorn) {
		t.Errorf("got %v, want %v", err, errTorn)
	}
}

var errTorn = errors.New("torn")

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errTorn }
