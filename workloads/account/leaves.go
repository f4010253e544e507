package account

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// leaf is a function that copies, and calls no other one that does: whoever
// probed copy_page_to_iter as well would count its bytes twice.
type leaf struct {
	function string
	// iter is which argument is the iov_iter, from 1; 0 where there is none.
	iter int
	// idle: nothing that the lab measures is to copy by it; its hits spoil
	// the account.
	idle bool
}

// line is what the kernels of one line copy with.
type line struct {
	leaves []leaf
	// discard is ITER_DISCARD (include/linux/uio.h): the bytes of such an
	// iterator are counted and go nowhere. 0 and 1 are those of user memory,
	// ITER_UBUF and ITER_IOVEC, in both lines.
	discard string
}

// splicer is the function that puts pages into an skb by reference, for every
// protocol that knows MSG_SPLICE_PAGES but kTLS, and which argument its
// iterator is. It returns the bytes it took (net/core/skbuff.c).
var splicer = leaf{function: "skb_splice_from_iter", iter: 2}

// orphaner copies what an skb holds of others' pages, its data_len bytes, and
// returns 0 (net/core/skbuff.c). Loopback calls it for MSG_ZEROCOPY.
const orphaner = "skb_copy_ubufs"

// flattener copies its fourth argument's bytes out of an skb into plain memory
// and returns 0 (net/core/skbuff.c): so packets are cut for a device that can't
// gather (skb_segment) or made linear (__pskb_pull_tail). Its few other calls
// copy headers. No system call copies a known number of bytes by it, so it has
// no proof: file-veth-nosg, which adds just one copy to file-veth, is one.
const flattener = "skb_copy_bits"

// lines are read in lib/iov_iter.c and net/core/skbuff.c.
func lines() map[string]line {
	shared := func(atomic string) line {
		return line{
			leaves: []leaf{
				{function: "_copy_to_iter", iter: 3},
				{function: "_copy_from_iter", iter: 3},
				{function: atomic, iter: 4},
				{function: "_copy_from_iter_nocache", iter: 3, idle: true},
				{function: "csum_and_copy_from_iter_full", iter: 4, idle: true},
			},
			discard: "6",
		}
	}
	return map[string]line{
		"6.12": shared("copy_page_from_iter_atomic"),
		"7.3":  shared("copy_folio_from_iter_atomic"),
	}
}

func lookup(name string) (line, error) {
	l, ok := lines()[name]
	if !ok {
		known := slices.Sorted(maps.Keys(lines()))
		return line{}, fmt.Errorf("no list of copying functions for kernel line %q, only for %s", name, strings.Join(known, ", "))
	}
	return l, nil
}
