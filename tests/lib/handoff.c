// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of handing a userfaultfd over: text and descriptors in each order, and what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/kernel/uffd.h"
#include "tests/lib/logged.h"

#define ONE "[{\"base_host_virt_addr\":4096,\"size\":8192,\"offset\":12288,\"page_size\":4096}]"

static struct uffdctl *u;
static struct uffdctl_handoff *h;
static int peer;

static void begin(void)
{
	int s[2];

	u = new_context();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		abort();
	NUM(uffdctl_handoff_begin(u, s[0], &h), 0);
	NUM(uffdctl_handoff_pid(h), getpid());
	NUM(uffdctl_handoff_socket(h), s[0]);
	peer = s[1];
}

static void end(void)
{
	uffdctl_handoff_free(h);
	uffdctl_free(u);
	if (peer >= 0)
		close(peer);
}

static void send_all(const char *text, const int *fds, size_t nr)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(32 * sizeof(int))];
	} control = {};
	struct iovec iov = { (char *)text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ CMSG_LEN(nr * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, nr * sizeof(int));
	}
	if (sendmsg(peer, &msg, 0) < 0)
		abort();
}

static void check_all(int line)
{
	const struct uffdctl_handoff_region *r = uffdctl_handoff_region(h, 0);

	check_num(line, "step", (uint64_t)uffdctl_handoff_step(h), 1);
	check_num(line, "again", (uint64_t)uffdctl_handoff_step(h), 1);
	check_num(line, "a userfaultfd", uffdctl_handoff_uffd(h) >= 0 && uffd_is_changing(uffdctl_handoff_uffd(h)) == false, 1);
	check_num(line, "close-on-exec", (uint64_t)fcntl(uffdctl_handoff_uffd(h), F_GETFD), FD_CLOEXEC);
	check_str(line, "protocol", uffdctl_handoff_protocol(h), "firecracker");
	r = uffdctl_handoff_region(h, 0);
	check_num(line, "region", r && r->start == 4096 && r->size == 8192 && r->offset == 12288 && r->page_size == 4096, 1);
	check_num(line, "one region", !uffdctl_handoff_region(h, 1), 1);
}

static int open_files(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

TEST("handoff-orders")
{
	int uffd, null = open("/dev/null", O_RDONLY | O_CLOEXEC), before, several[3];

	if (uffd_create(&uffd) < 0)
		return;
	before = open_files();
	several[0] = null, several[1] = uffd, several[2] = null;
	for (int order = 0; order < 6; order++) {
		begin();
		NUM(uffdctl_handoff_step(h), 0);
		if (order == 0) {
			send_all(ONE, &uffd, 1); /* together */
		} else if (order == 1) {
			send_all(ONE, NULL, 0); /* text first */
			NUM(uffdctl_handoff_step(h), 0);
			send_all("x", several, 2); /* a descriptor needs a byte */
		} else if (order == 2) {
			send_all("[", &uffd, 1); /* descriptor first, and text in pieces */
			NUM(uffdctl_handoff_step(h), 0);
			send_all(&ONE[1], NULL, 0);
		} else if (order == 3) {
			send_all(ONE, several, 3); /* others among them */
		} else if (order == 5) {
			send_all(ONE, NULL, 0); /* the kernel may append the byte of the descriptor to it */
			send_all("x", &uffd, 1);
		} else {
			send_all("[{\"base_host_virt_addr\":4096,", several, 1);
			NUM(uffdctl_handoff_step(h), 0);
			send_all("\"size\":8192,\"offset\":12288}]", several, 2); /* no page size: that of the machine */
		}
		check_all(__LINE__);
		end();
		NUM(open_files(), before);
	}
	close(uffd);
	close(null);
}

TEST("handoff-refused")
{
	static const char *const bad[] = {
		"x", "{}", "[]", "[1]", "[[]]", "[{}]", "null ", "[[[[[[1]]]]]]", ONE "x", ONE ONE,
		"[{\"base_host_virt_addr\":4097,\"size\":8192,\"offset\":0}]",
		"[{\"base_host_virt_addr\":4096,\"size\":0,\"offset\":0}]",
		"[{\"base_host_virt_addr\":-4096,\"size\":4096,\"offset\":0}]",
		"[{\"base_host_virt_addr\":\"4096\",\"size\":4096,\"offset\":0}]",
		"[{\"base_host_virt_addr\":1e3,\"size\":4096,\"offset\":0}]",
		"[{\"base_host_virt_addr\":4096,\"size\":9223372036854771712,\"offset\":0}]",
		"[{\"base_host_virt_addr\":4096,\"size\":99999999999999999999999,\"offset\":0}]",
		"[{\"base_host_virt_addr\":4096,\"size\":4096,\"offset\":9223372036854771712}]",
		"[{\"base_host_virt_addr\":4096,\"size\":4096,\"offset\":0,\"page_size\":4097}]",
		"[{\"base_host_virt_addr\":4096,\"size\":4096,\"offset\":0,\"page_size\":2097152}]",
		"[{\"base_host_virt_addr\":4096,\"size\":8192,\"offset\":0},{\"base_host_virt_addr\":8192,\"size\":4096,\"offset\":0}]",
	};

	for EACH(bad) {
		begin();
		send_all(bad[i], NULL, 0);
		check_num(__LINE__, bad[i], (uint64_t)uffdctl_handoff_step(h), -EBADMSG);
		end();
	}
	/* It ends early. */
	begin();
	send_all("[{", NULL, 0);
	NUM(uffdctl_handoff_step(h), 0);
	close(peer);
	peer = -1;
	NUM(uffdctl_handoff_step(h), -EPIPE);
	end();
}

TEST("handoff-too-many")
{
	int uffd, many[32], before;

	if (uffd_create(&uffd) < 0)
		return;
	for EACH(many)
		many[i] = uffd;
	before = open_files();
	begin();
	send_all(ONE, many, 32);
	NUM(uffdctl_handoff_step(h), -E2BIG);
	end();
	begin();
	send_all(ONE, many, 2);
	NUM(uffdctl_handoff_step(h), -EBADMSG);
	end();
	NUM(open_files(), before);
	close(uffd);
}
