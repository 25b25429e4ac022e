// SPDX-License-Identifier: GPL-2.0-or-later
/* The messages by which a userfaultfd is handed over, whole and in two parts. Regions that are taken are sound. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "lib/uffdctl.h"

static void on_log(void *data, int level, const char *msg)
{
	(void)data, (void)level;
	ENSURE(!has_control(msg));
}

static void check_regions(const struct uffdctl_handoff *h)
{
	const struct uffdctl_handoff_region *r;
	uint64_t last = 0;

	for (size_t i = 0; (r = uffdctl_handoff_region(h, i)); i++) {
		ENSURE(r->size && r->start >= last && r->start + r->size > r->start && r->offset + r->size > r->offset);
		ENSURE(r->page_size && r->start % r->page_size == 0 && r->size % r->page_size == 0);
		last = r->start + r->size;
	}
}

/* @cut: where the second part begins */
static int send_and_read(struct uffdctl *u, const uint8_t *data, size_t size, size_t cut)
{
	struct uffdctl_handoff *h;
	int s[2], r;

	ENSURE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
	ENSURE(uffdctl_handoff_begin(u, s[0], &h) == 0);
	ENSURE(send(s[1], data, cut, 0) == (ssize_t)cut);
	r = cut ? uffdctl_handoff_step(h) : 0;
	if (r == 0) {
		ENSURE(send(s[1], data + cut, size - cut, 0) == (ssize_t)(size - cut));
		close(s[1]);
		r = uffdctl_handoff_step(h);
	} else {
		close(s[1]);
	}
	/* No descriptor has come. */
	ENSURE(r == -EPIPE || r == -EBADMSG);
	check_regions(h);
	uffdctl_handoff_free(h);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct uffdctl *u;

	if (size > 65536)
		return 0;
	ENSURE(uffdctl_new(&u) == 0);
	uffdctl_set_log(u, UFFDCTL_LOG_DEBUG, on_log, NULL);
	ENSURE(send_and_read(u, data, size, size / 3) == send_and_read(u, data, size, size));
	uffdctl_free(u);
	return 0;
}
