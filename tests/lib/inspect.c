// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of inspecting: what is said when it can't be done. */
#include <errno.h>

#include "lib/inspect/pending_build.h"
#include "lib/kernel/iter.h"
#include "tests/lib/limit.h"
#include "tests/lib/logged.h"

/* For /proc, /proc/PID, its task folder, and a file in it. */
TEST("pending-lack-of-descriptors")
{
	for (int nr = 0; nr < 4; nr++) {
		struct uffdctl_pending p = {};

		allow_descriptors(nr);
		NUM(pending_from_proc(&p), -EMFILE);
		allow_all_descriptors();
		free(p.waiters);
	}
}

TEST("pending-lack-of-descriptors-is-logged")
{
	const struct uffdctl_find_opts opts = { .size = sizeof(opts), .source = UFFDCTL_SOURCE_PROC };
	struct uffdctl *u = new_context();
	struct uffdctl_pending *p;

	allow_descriptors(0);
	NUM(uffdctl_pending(u, &opts, &p), -EMFILE);
	allow_all_descriptors();
	NUM(nr_logged, 1);
	PART(logged, "/proc: ");
	uffdctl_free(u);
}

TEST("target-lack-of-descriptors")
{
	struct uffdctl *u = new_context();
	struct uffdctl_target *t;

	/* For the pidfd and /proc/PID. */
	allow_descriptors(2);
	NUM(uffdctl_target_open(u, getpid(), &t), -EMFILE);
	allow_all_descriptors();
	NUM(nr_logged, 1);
	PART(logged, "/stat: ");
	uffdctl_free(u);
}

TEST("maps-lack-of-descriptors")
{
	const struct uffdctl_maps_opts opts = { .size = sizeof(opts), .source = UFFDCTL_SOURCE_PROC };
	struct uffdctl *u = new_context();
	struct uffdctl_target *t;
	struct uffdctl_maps *maps;

	NUM(uffdctl_target_open(u, getpid(), &t), 0);
	allow_descriptors(0);
	NUM(uffdctl_maps(t, &opts, &maps), -EMFILE);
	allow_all_descriptors();
	NUM(nr_logged, 1);
	PART(logged, "/smaps: ");
	uffdctl_target_close(t);
	uffdctl_free(u);
}

TEST("iter-too-many-files")
{
	struct uffdctl *u;

	NUM(uffdctl_new(&u), 0);
	PART(iter_why(u, -E2BIG), "more than 16384 descriptors");
	uffdctl_free(u);
}
