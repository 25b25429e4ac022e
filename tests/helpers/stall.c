// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file system that stops answering: stall DIR FILE... mounts FUSE on DIR and serves copies of the files
 * there under their base names. It prints "ready"; then a line on stdin says what it does from now on:
 *
 *   stall   takes each request and answers none: whoever waits can't be killed
 *   queue   takes no request any more: whoever waits dies by SIGKILL alone
 *   cut     has the files end at 64 KiB, which is seen when what lies behind is read
 *   quit    unmounts and ends, as EOF does: all requests fail
 *
 * and is answered by "ok". Nothing is cached but pages that were read, so that each look at a file asks here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FILES 16
#define CUT_AT 65536
#define ROOT FUSE_ROOT_ID
#define FIRST (ROOT + 1)

static struct {
	const char *name;
	char *data;
	size_t size;
} files[MAX_FILES];

static unsigned int nr_files;
static int dev;
static enum {
	ANSWERS,
	STALLS,
	QUEUES,
	CUTS
} state;

static void die(const char *what)
{
	fprintf(stderr, "stall: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void load(const char *path)
{
	const char *slash = strrchr(path, '/');
	int fd = open(path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || nr_files == MAX_FILES)
		die(path);
	files[nr_files].name = slash ? slash + 1 : path;
	files[nr_files].size = st.st_size;
	files[nr_files].data = malloc(st.st_size + 1);
	if (!files[nr_files].data || read(fd, files[nr_files].data, st.st_size) != st.st_size)
		die(path);
	close(fd);
	nr_files++;
}

static void reply(uint64_t unique, int err, const void *data, size_t len)
{
	struct fuse_out_header out = { .len = sizeof(out) + len, .error = -err, .unique = unique };
	struct iovec iov[] = { { &out, sizeof(out) }, { (void *)data, len } };

	/* ENOENT: the request was interrupted meanwhile. */
	if (writev(dev, iov, 2) < 0 && errno != ENOENT)
		die("reply");
}

static bool is_file(uint64_t node)
{
	return node >= FIRST && node < FIRST + nr_files;
}

static struct fuse_attr attr_of(uint64_t node)
{
	size_t size = is_file(node) ? files[node - FIRST].size : 0;

	return (struct fuse_attr){
		.ino = node,
		.size = size,
		.blocks = (size + 511) / 512,
		.mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0755,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void do_init(const struct fuse_in_header *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_readahead = 1 << 17,
		.max_background = 16,
		.congestion_threshold = 12,
		.max_write = 1 << 17,
		.time_gran = 1,
	};

	reply(in->unique, 0, &out, sizeof(out));
}

static void do_lookup(const struct fuse_in_header *in, const char *name)
{
	struct fuse_entry_out out = {};

	for (unsigned int i = 0; i < nr_files; i++) {
		if (strcmp(files[i].name, name))
			continue;
		out.nodeid = FIRST + i;
		out.attr = attr_of(out.nodeid);
		reply(in->unique, 0, &out, sizeof(out));
		return;
	}
	reply(in->unique, ENOENT, NULL, 0);
}

static void do_read(const struct fuse_in_header *in, const struct fuse_read_in *arg)
{
	size_t size = files[in->nodeid - FIRST].size, len = arg->size;

	if (state == CUTS && size > CUT_AT)
		size = CUT_AT;
	if (arg->offset >= size)
		len = 0;
	else if (len > size - arg->offset)
		len = size - arg->offset;
	reply(in->unique, 0, files[in->nodeid - FIRST].data + arg->offset, len);
}

static void serve(const struct fuse_in_header *in)
{
	struct fuse_attr_out attr = { .attr = attr_of(in->nodeid) };
	struct fuse_open_out opened = { .open_flags = state == CUTS ? 0 : FOPEN_KEEP_CACHE };
	struct fuse_statfs_out statfs = { .st = { .bsize = 4096, .namelen = 255, .frsize = 4096 } };

	switch (in->opcode) {
	case FUSE_INIT:
		do_init(in);
		break;
	case FUSE_LOOKUP:
		do_lookup(in, (const char *)(in + 1));
		break;
	case FUSE_GETATTR:
		reply(in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		do_read(in, (const void *)(in + 1));
		break;
	case FUSE_STATFS:
		reply(in->unique, 0, &statfs, sizeof(statfs));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(in->unique, ENOSYS, NULL, 0);
	}
}

static void on_request(void)
{
	static char buf[1 << 18] __attribute__((aligned(8)));
	ssize_t n = read(dev, buf, sizeof(buf));

	/* ENOENT, EINTR: taken back before it was read. */
	if (n < 0 && errno != ENOENT && errno != EINTR && errno != EAGAIN)
		die("read");
	if (n >= (ssize_t)sizeof(struct fuse_in_header) && state != STALLS)
		serve((const struct fuse_in_header *)buf);
}

static bool on_command(void)
{
	char line[64];

	if (!fgets(line, sizeof(line), stdin) || !strcmp(line, "quit\n"))
		return false;
	state = !strcmp(line, "stall\n") ? STALLS : !strcmp(line, "queue\n") ? QUEUES : CUTS;
	puts("ok");
	return true;
}

int main(int argc, char **argv)
{
	char options[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 2; i < argc; i++)
		load(argv[i]);
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (argc < 2 || dev < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", dev);
	if (mount("stall", argv[1], "fuse.stall", MS_NOSUID | MS_NODEV, options) < 0)
		die("mount");
	puts("ready");
	for (bool go = true; go;) {
		struct pollfd p[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = dev, .events = POLLIN } };

		if (poll(p, state == QUEUES ? 1 : 2, -1) < 0)
			continue;
		if (p[1].revents && state != QUEUES)
			on_request();
		if (p[0].revents)
			go = on_command();
	}
	/* Both end whoever waits. */
	umount2(argv[1], MNT_DETACH);
	close(dev);
	puts("ok");
	return 0;
}
