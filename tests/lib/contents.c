// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of the contents that pages are filled with. */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "lib/drive/contents.h"
#include "tests/lib/logged.h"

#define PIECE (64 << 10)
#define NR_PIECES 256
#define SKIP 100

static void *write_pieces(void *arg)
{
	static char piece[PIECE];
	int fd = *(int *)arg;

	for (int i = 0; i < NR_PIECES; i++) {
		if (write(fd, piece, sizeof(piece)) != sizeof(piece))
			abort();
		if (i == NR_PIECES / 2)
			usleep(200000);
	}
	close(fd);
	return NULL;
}

struct seen {
	int nr;
	uint64_t most;
};

static int on_progress(void *data, uint64_t done_bytes, uint64_t total_bytes)
{
	struct seen *seen = data;

	seen->nr++;
	OK(done_bytes >= seen->most && done_bytes <= total_bytes);
	seen->most = done_bytes;
	return 0;
}

/* Some ten times a second, and what was read without what is skipped. */
TEST("contents-pipe-progress")
{
	uint64_t need = NR_PIECES * PIECE - SKIP;
	struct uffdctl *u = new_context();
	struct seen seen = {};
	struct uffdctl_action_opts opts = { .size = sizeof(opts),
					    .progress = on_progress,
					    .data = &seen,
					    .contents = UFFDCTL_CONTENTS_FD,
					    .from_offset = SKIP };
	struct contents c = {};
	pthread_t thread;
	int fds[2];

	if (pipe(fds) < 0)
		abort();
	opts.from_fd = fds[0];
	OK(pthread_create(&thread, NULL, write_pieces, &fds[1]) == 0);
	NUM(contents_open(u, NULL, &opts, need, &c), 0);
	pthread_join(thread, NULL);
	OK(seen.nr >= 2 && seen.nr < NR_PIECES / 4);
	OK(seen.most >= need / 4);
	contents_close(&c);
	close(fds[0]);
	uffdctl_free(u);
}
