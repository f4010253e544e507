package copypath

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"splicelab/workloads/wire"
)

// fileKTLS encrypts in the kernel, in software. What the cipher itself reads
// and writes is no copy; the skbs hold its output by reference on every kernel
// (tls_push_sg).
func fileKTLS() Family {
	methods := slices.DeleteFunc(fileMethods(), func(m Method) bool { return m.Name == "mmap-send" })
	return Family{
		Name:    "file-ktls",
		About:   "a file in the page cache (tmpfs) to a TCP socket over loopback with kernel TLS at both ends (software, TLS 1.3, AES-GCM-128)",
		Sinks:   []string{wire.SinkRead}, // what is received must be decrypted
		Duplex:  true,                    // a request for a chunk goes as it is
		Methods: methods,
		connect: connectKTLS,
		tune:    tuneTCP,
		receive: receiveSocket,
	}
}

// connectKTLS gives both ends the same key, which a handshake would have
// agreed on.
func connectKTLS(c *Cell) error {
	if err := connectTCP(c); err != nil {
		return err
	}
	for _, end := range []struct{ fd, direction int }{{c.tx, tlsTX}, {c.rx, tlsRX}} {
		if err := unix.SetsockoptString(end.fd, unix.IPPROTO_TCP, unix.TCP_ULP, "tls"); err != nil {
			return fmt.Errorf("set TCP_ULP to tls: %w", err)
		}
		if err := unix.SetsockoptString(end.fd, unix.SOL_TLS, end.direction, string(cryptoInfo())); err != nil {
			return fmt.Errorf("set the key of kernel TLS: %w", err)
		}
	}
	return nil
}

// The options of SOL_TLS (include/uapi/linux/tls.h).
const (
	tlsTX = 1
	tlsRX = 2
)

// cryptoInfo is a struct tls12_crypto_info_aes_gcm_128
// (include/uapi/linux/tls.h) with a fixed key.
func cryptoInfo() []byte {
	const (
		version   = 0x0304 // TLS_1_3_VERSION
		aesGCM128 = 51     // TLS_CIPHER_AES_GCM_128
	)
	info := binary.NativeEndian.AppendUint16(nil, version)
	info = binary.NativeEndian.AppendUint16(info, aesGCM128)
	for i := range 8 + 16 + 4 { // iv, key, salt
		info = append(info, byte(i))
	}
	return append(info, make([]byte, 8)...) // the first record's number
}
