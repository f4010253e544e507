/*
 * The C twin of six copy paths: what a plain program pays for them. It is the
 * only program of its VM, as PID 1, and shares no line with the guest's agent:
 * what the agent's figures have beyond these is the harness'.
 *
 * Each cell: one connection, one transfer to warm it, compared; then measured
 * ones, chunk by chunk. A cell's line on /dev/ttyS1: path, sink, chunk, bytes,
 * instructions (CPU time of all tasks in ns: -icount shift=0). "end" ends it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SOURCE (16L << 20)
#define BUFFER (4 << 20)
#define LARGEST (64L << 10)

static int out, file, tx, rx, fds[2];
static char *mapped, *user, *buf, *in;
static pid_t idler;

static void die(const char *what)
{
	dprintf(out, "failed %s: %s\n", what, strerror(errno));
	tcdrain(out);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static long must(const char *what, long r)
{
	if (r < 0)
		die(what);
	return r;
}

/* The senders: the n bytes at offset off of the source. */

static void send_sendfile(long off, long n)
{
	while (n > 0)
		n -= must("sendfile", sendfile(tx, file, &off, n));
}

static void send_splice(long off, long n)
{
	while (n > 0) {
		long filled = must("splice in", splice(file, &off, fds[1], NULL, n, 0));

		n -= filled;
		while (filled > 0)
			filled -= must("splice out", splice(fds[0], NULL, tx, NULL, filled, n ? SPLICE_F_MORE : 0));
	}
}

static void all(const char *what, ssize_t (*call)(int, const void *, size_t), int fd, const char *p, long n)
{
	while (n > 0) {
		long done = must(what, call(fd, p, n));

		p += done;
		n -= done;
	}
}

static ssize_t plain_send(int fd, const void *p, size_t n)
{
	return send(fd, p, n, 0);
}

static void send_read_send(long off, long n)
{
	while (n > 0) {
		long got = must("pread", pread(file, buf, n, off));

		all("send", plain_send, tx, buf, got);
		off += got;
		n -= got;
	}
}

static void send_mmap_send(long off, long n)
{
	all("send", plain_send, tx, mapped + off, n);
}

static ssize_t one_vmsplice(int fd, const void *p, size_t n)
{
	struct iovec iov = { (void *)p, n };

	return vmsplice(fd, &iov, 1, 0);
}

static void send_vmsplice(long off, long n)
{
	all("vmsplice", one_vmsplice, tx, user + off, n);
}

static void send_write(long off, long n)
{
	all("write", write, tx, user + off, n);
}

/* The receivers: n bytes; those that are kept stand at in. */

static void receive_socket(long n, int flags)
{
	for (char *p = in; n > 0;) {
		long got = must("recv", recv(rx, p, n, flags));

		p += got;
		n -= got;
	}
}

static void receive_pipe(long n, int flags)
{
	(void)flags;
	for (char *p = in; n > 0;) {
		long got = must("read", read(rx, p, n));

		p += got;
		n -= got;
	}
}

/* The machine, as the agent sets it up. */

static void put(const char *name, const char *text)
{
	int fd = must(name, open(name, O_WRONLY));

	must(name, write(fd, text, strlen(text)));
	close(fd);
}

static void set_up(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd;

	mkdir("/tmp", 0755);
	mount("proc", "/proc", "proc", 0, "");
	mount("devtmpfs", "/dev", "devtmpfs", 0, "");
	mount("tmpfs", "/tmp", "tmpfs", 0, "");
	out = open("/dev/ttyS1", O_WRONLY | O_NOCTTY);
	put("/proc/sys/kernel/randomize_va_space", "0");
	put("/proc/sys/net/ipv4/tcp_no_metrics_save", "1");
	put("/proc/sys/net/ipv4/tcp_slow_start_after_idle", "0");
	fd = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
	must("lo", ioctl(fd, SIOCSIFFLAGS, &lo));
	close(fd);
}

/* A CPU that never halts: workloads/guest/idler.go says why. */
static void start_idler(void)
{
	struct sched_param none = { 0 };

	idler = must("fork", fork());
	if (!idler)
		for (;;)
			__asm__ volatile(".rept 500\n nop\n .endr");
	must("idle policy", sched_setscheduler(idler, SCHED_IDLE, &none));
}

static void pause_idler(void)
{
	must("stop", kill(idler, SIGSTOP));
	must("wait", waitpid(idler, NULL, WUNTRACED));
}

static char *anonymous(long n)
{
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void open_source(void)
{
	unsigned int x = 1;

	user = anonymous(SOURCE);
	buf = anonymous(LARGEST);
	in = anonymous(LARGEST);
	for (long i = 0; i < SOURCE; i++)
		user[i] = (x = x * 1664525 + 1013904223) >> 24; /* Numerical Recipes' */
	file = must("source", open("/tmp/source", O_RDWR | O_CREAT, 0600));
	all("source", write, file, user, SOURCE);
	mapped = mmap(NULL, SOURCE, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
	if (mapped == MAP_FAILED)
		die("mmap");
}

static int tcp_socket(void)
{
	int fd = must("socket", socket(AF_INET, SOCK_STREAM, 0)), size = BUFFER;

	must("buffer", setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)));
	must("buffer", setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
	return fd;
}

static void connect_tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int listener = tcp_socket(), on = 1;

	must("bind", bind(listener, (void *)&at, size));
	must("listen", listen(listener, 1));
	must("name", getsockname(listener, (void *)&at, &size));
	tx = tcp_socket();
	must("connect", connect(tx, (void *)&at, size));
	rx = must("accept", accept(listener, NULL, NULL));
	must("nodelay", setsockopt(tx, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	close(listener);
}

/* The meter. */

static long clock_ns(clockid_t id)
{
	struct timespec ts;

	must("clock", clock_gettime(id, &ts));
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

/* CPU time of every task but this one and the idler. */
static long others(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	long sum = 0;

	while (proc && (e = readdir(proc))) {
		int pid = atoi(e->d_name), fd;
		char name[64], text[64] = "";

		if (pid <= 0 || pid == getpid() || pid == idler)
			continue;
		snprintf(name, sizeof(name), "/proc/%d/schedstat", pid);
		fd = open(name, O_RDONLY);
		if (fd < 0)
			continue; /* it ended since */
		must(name, read(fd, text, sizeof(text) - 1));
		close(fd);
		sum += atol(text);
	}
	closedir(proc);
	return sum;
}

/* Half a second past a whole one, where the kernel does nothing of its own. */
static void half_second(void)
{
	long now = clock_ns(CLOCK_MONOTONIC), ns = now % 1000000000;
	struct timespec next = { now / 1000000000 + (ns > 400000000), 500000000 };

	must("sleep", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL));
}

static const struct path {
	const char *name;
	int tcp;
	void (*send)(long off, long n);
} paths[] = {
	{ "file-tcp/sendfile", 1, send_sendfile },
	{ "file-tcp/splice", 1, send_splice },
	{ "file-tcp/read-send", 1, send_read_send },
	{ "file-tcp/mmap-send", 1, send_mmap_send },
	{ "user-pipe/vmsplice", 0, send_vmsplice },
	{ "user-pipe/write", 0, send_write },
};

static void measure(const struct path *p, const char *sink, int flags, long chunk)
{
	void (*receive)(long, int) = p->tcp ? receive_socket : receive_pipe;
	long self, rest;

	half_second();
	pause_idler();
	rest = others();
	self = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (long pos = 0; pos < SOURCE; pos += chunk) {
		p->send(pos, chunk);
		receive(chunk, flags);
	}
	self = clock_ns(CLOCK_THREAD_CPUTIME_ID) - self;
	rest = others() - rest;
	must("continue", kill(idler, SIGCONT));
	dprintf(out, "cell %s %s %ld %ld %ld\n", p->name, sink, chunk, SOURCE, self + rest);
}

static void cell(const struct path *p, long chunk)
{
	must("pipe", pipe(fds));
	must("pipe size", fcntl(fds[1], F_SETPIPE_SZ, 2 * chunk < 65536 ? 65536 : 2 * chunk));
	if (p->tcp)
		connect_tcp();
	else
		rx = fds[0], tx = fds[1];
	for (long pos = 0; pos < SOURCE; pos += chunk) {
		p->send(pos, chunk);
		(p->tcp ? receive_socket : receive_pipe)(chunk, 0);
		errno = EILSEQ;
		must("what arrived", -!!memcmp(in, user + pos, chunk));
	}
	measure(p, p->tcp ? "read" : "-", 0, chunk);
	if (p->tcp)
		measure(p, "discard", MSG_TRUNC, chunk);
	if (p->tcp) {
		close(tx);
		close(rx);
	}
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	static const long chunks[] = { 4 << 10, LARGEST };

	set_up();
	start_idler();
	open_source();
	sleep(3); /* until the kernel has settled */
	for (unsigned int i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		for (unsigned int j = 0; j < sizeof(chunks) / sizeof(*chunks); j++)
			cell(&paths[i], chunks[j]);
	dprintf(out, "end\n");
	tcdrain(out);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
