// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl list: who holds which userfaultfd, and whose memory it governs. */
#include <stdlib.h>

#include "cmd/pids.h"
#include "cmd/source.h"

static void get_ctx(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_number(ret, d->ctx ?: UFFDCTL_UNKNOWN);
}

static void get_pid(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_number(ret, d->pid);
}

static void get_comm(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_text(ret, d->comm);
}

static void get_fd(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_number(ret, d->fd);
}

static void get_target(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_pid(ret, d->target_pid);
}

static void get_pending(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_number(ret, d->pending);
	ret->alert = d->pending && d->pending != UFFDCTL_UNKNOWN;
}

static void get_total(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_number(ret, d->total);
	ret->alert = d->total && d->total != UFFDCTL_UNKNOWN;
}

static void get_missing(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_size(ret, d->bytes[0]);
}

static void get_wp(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_size(ret, d->bytes[1]);
}

static void get_minor(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_size(ret, d->bytes[2]);
}

static void get_rwp(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_size(ret, d->bytes[3]);
}

static void get_waits(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_number(ret, d->waits);
}

static void get_features(const void *row, struct cell *ret)
{
	const struct uffdctl_uffd *d = row;

	cell_bits(ret, d->features, uffdctl_feature_name);
}

static const struct column columns[] = {
	{ "CTX", "userfaultfd: descriptors with the same number are the same one", COL_RIGHT, get_ctx },
	{ "PID", "process that holds the descriptor", COL_RIGHT, get_pid },
	{ "COMM", "its name", 0, get_comm },
	{ "FD", "number of the descriptor there", COL_RIGHT, get_fd },
	{ "TARGET_PID", "process whose memory the userfaultfd governs", COL_RIGHT, get_target },
	{ "PENDING", "threads that wait with a message that nobody has read", COL_RIGHT, get_pending },
	{ "TOTAL", "all threads that wait; those beyond PENDING were read and not resolved", COL_RIGHT, get_total },
	{ "MINOR", "bytes registered for minor faults", COL_RIGHT, get_minor },
	{ "MISSING", "bytes registered for missing faults", COL_RIGHT, get_missing },
	{ "WP", "bytes registered for write-protect faults", COL_RIGHT, get_wp },
	{ "RWP", "bytes registered for read-write-protect faults", COL_RIGHT | COL_HIDDEN, get_rwp },
	{ "WAITS", "1: somebody waits for messages just now, 0: nobody", COL_RIGHT | COL_EXTRA, get_waits },
	{ "FEATURES", "what its UFFDIO_API asked for; unknown before that", COL_WIDE, get_features },
	{}
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	pids_add(arg, state);
	return 0;
}

static int run(void)
{
	struct uffdctl_list *list = NULL;
	struct table *table;
	int failed, r;

	if (table_new("list", columns, &table) < 0)
		return EXIT_USAGE;
	failed = pids_check();
	r = uffdctl_list(ctx(), source, pids, nr_pids, &list);
	for (size_t i = 0; r >= 0 && i < uffdctl_list_count(list); i++)
		r = table_row(table, uffdctl_list_get(list, i));
	if (r >= 0 && !uffdctl_list_count(list) && !common.json && !failed)
		note("no userfaultfd %s", pids ? "of these processes" : "in sight");
	if (table_close(table) < 0 || r < 0)
		failed = 1;
	uffdctl_list_free(list);
	pids_free();
	uffdctl_free(ctx());
	return failed ? EXIT_UNDONE : EXIT_DONE;
}

const struct cmd cmd_list = {
	.name = "list",
	.summary = "List userfaultfds: holders, whose memory, what waits",
	.args = "[PID...]",
	.parse = parse,
	.children = (const struct argp_child[]){ { &source_argp, 0, NULL, 0 }, { &common_argp, 0, NULL, 0 }, {} },
	.columns = columns,
	.run = run,
};
