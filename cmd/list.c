// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl list: who holds which userfaultfd, and whose memory it governs. */
#include <string.h>

#include "cmd/options.h"
#include "cmd/pids.h"
#include "cmd/source.h"

struct list_options {
	struct pids pids;
	enum uffdctl_source source;
};

static const struct uffdctl_uffd *uffd_of(const void *row)
{
	return row;
}

static void uffd_ctx(const void *row, struct cell *ret)
{
	cell_number(ret, uffd_of(row)->ctx ?: UFFDCTL_UNKNOWN);
}

static void uffd_pid(const void *row, struct cell *ret)
{
	cell_pid(ret, uffd_of(row)->pid);
}

static void uffd_comm(const void *row, struct cell *ret)
{
	cell_text(ret, uffd_of(row)->comm);
}

static void uffd_fd(const void *row, struct cell *ret)
{
	cell_number(ret, uffd_of(row)->fd);
}

static void uffd_target(const void *row, struct cell *ret)
{
	cell_pid(ret, uffd_of(row)->target_pid);
}

/* Threads that wait: red, if there are any. */
static void cell_waiters(struct cell *c, uint64_t nr)
{
	cell_number(c, nr);
	c->alert = nr && nr != UFFDCTL_UNKNOWN;
}

static void uffd_pending(const void *row, struct cell *ret)
{
	cell_waiters(ret, uffd_of(row)->pending);
}

static void uffd_total(const void *row, struct cell *ret)
{
	cell_waiters(ret, uffd_of(row)->total);
}

/* The columns have the names of the modes. */
static void uffd_registered(const void *row, struct cell *ret)
{
	for (unsigned int bit = 0; uffdctl_mode_name(bit); bit++)
		if (!strcasecmp(uffdctl_mode_name(bit), ret->column))
			cell_size(ret, uffd_of(row)->bytes[bit]);
}

static void uffd_reader(const void *row, struct cell *ret)
{
	cell_bool(ret, uffd_of(row)->has_reader);
}

static void uffd_features(const void *row, struct cell *ret)
{
	cell_bits(ret, uffd_of(row)->features, uffdctl_feature_name);
}

static const struct column list_columns[] = {
	{ "CTX", "number of the userfaultfd: descriptors with the same number belong to the same one", COL_RIGHT,
	  uffd_ctx },
	{ "PID", "process that holds the descriptor", COL_RIGHT, uffd_pid },
	{ "COMM", "name of that process", 0, uffd_comm },
	{ "FD", "number of the descriptor in that process", COL_RIGHT, uffd_fd },
	{ "TARGET_PID", "process whose memory the userfaultfd governs", COL_RIGHT, uffd_target },
	{ "PENDING", "waiting threads whose message no handler has read", COL_RIGHT, uffd_pending },
	{ "TOTAL", "all waiting threads; TOTAL minus PENDING: message read, fault not resolved", COL_RIGHT,
	  uffd_total },
	{ "READER", "yes: a handler waits for messages now; no: none does, or it is busy", 0, uffd_reader },
	{ "MINOR", "bytes registered for minor faults", COL_RIGHT, uffd_registered },
	{ "MISSING", "bytes registered for missing faults", COL_RIGHT, uffd_registered },
	{ "WP", "bytes registered for write-protect faults", COL_RIGHT, uffd_registered },
	{ "RWP", "bytes registered for read-write-protect faults", COL_RIGHT | COL_HIDDEN, uffd_registered },
	{ "FEATURES", "features that its UFFDIO_API asked for; unknown before that call", COL_HIDDEN | COL_WIDE,
	  uffd_features },
	{}
};

/* BPF shows the descriptors of others, too, but the numbers of waiters are in fdinfo. */
static void note_unknown(struct invocation *inv, const struct uffdctl_list *list)
{
	const struct list_options *o = inv->options;
	size_t nr = 0;

	source_note(inv, list, o->pids.nr ? 0 : uffdctl_list_hidden(list));
	for (size_t i = 0; i < uffdctl_list_count(list); i++)
		nr += uffdctl_list_get(list, i)->total == UFFDCTL_UNKNOWN;
	if (nr && uffdctl_list_source(list) == UFFDCTL_SOURCE_BPF && table_has_unknown(inv->table))
		note(&inv->messages,
		     "waiters and features of %zu descriptors are unknown (needs ptrace access: run as root, or setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep on this program)",
		     nr);
}

static int run_list(struct invocation *inv)
{
	struct list_options *o = inv->options;
	const struct uffdctl_find_opts opts = { sizeof(opts), o->pids.list, o->pids.nr, o->source, 0 };
	struct uffdctl_list *list = NULL;
	int r = pids_find(&o->pids, inv);
	bool failed = r < 0 || pids_check(&o->pids, inv) < 0;

	if (r >= 0)
		r = uffdctl_list(inv->context, &opts, &list);
	for (size_t i = 0; r >= 0 && i < uffdctl_list_count(list); i++)
		r = table_row(inv->table, uffdctl_list_get(list, i));
	if (r >= 0 && !uffdctl_list_count(list) && !inv->style.json && !failed)
		note(&inv->messages, "no %suserfaultfd %s", uffdctl_list_hidden(list) ? "visible " : "",
		     o->pids.nr ? "belongs to these processes (see uffdctl list)" : "was found");
	if (table_end(inv->table) < 0 || r < 0)
		failed = true;
	if (list)
		note_unknown(inv, list);
	uffdctl_list_free(list);
	pids_free(&o->pids);
	return failed ? EXIT_UNDONE : EXIT_DONE;
}

static const struct option_group list_groups[] = {
	{ &pids_argp, offsetof(struct list_options, pids) },
	{ &source_argp, offsetof(struct list_options, source) },
	{},
};

const struct cmd cmd_list = {
	.name = "list",
	.summary = "List userfaultfds: holders, whose memory, how many threads wait",
	.args = "[PID...]",
	.groups = list_groups,
	.options_size = sizeof(struct list_options),
	.columns = list_columns,
	.run = run_list,
};
