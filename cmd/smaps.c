// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl smaps: the mappings that carry a userfaultfd flag, and who owns them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/names.h"
#include "cmd/pids.h"
#include "cmd/source.h"

struct row {
	pid_t pid;
	const struct uffdctl_vma *vma;
	const struct uffdctl_list *list;
};

static unsigned int maps_flags;
static uint64_t only_modes;

static void get_pid(const void *arg, struct cell *ret)
{
	const struct row *row = arg;

	cell_number(ret, row->pid);
}

static void get_start(const void *arg, struct cell *ret)
{
	const struct row *row = arg;

	cell_address(ret, row->vma->range.start);
}

static void get_end(const void *arg, struct cell *ret)
{
	const struct row *row = arg;

	cell_address(ret, row->vma->range.end);
}

static void get_size(const void *arg, struct cell *ret)
{
	const struct row *row = arg;

	cell_size(ret, row->vma->range.end - row->vma->range.start);
}

static void get_perms(const void *arg, struct cell *ret)
{
	const struct row *row = arg;

	cell_text(ret, row->vma->perms);
}

static void get_flags(const void *arg, struct cell *ret)
{
	const struct uffdctl_vma *v = ((const struct row *)arg)->vma;

	if (!(maps_flags & UFFDCTL_MAPS_ALL)) {
		cell_bits(ret, v->modes, mode_flag_name);
		return;
	}
	if (!v->vm_flags)
		return;
	cell_list(ret);
	for (const char *p = v->vm_flags; *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");

		cell_wordf(ret, "%.*s", (int)len, p);
		p += len;
	}
}

static void get_name(const void *arg, struct cell *ret)
{
	const struct row *row = arg;

	cell_text(ret, row->vma->name);
}

static void get_offset(const void *arg, struct cell *ret)
{
	const struct row *row = arg;

	cell_number(ret, row->vma->offset);
}

static void get_page_size(const void *arg, struct cell *ret)
{
	const struct row *row = arg;

	cell_size(ret, row->vma->page_size);
}

/* Who holds the userfaultfd that owns the mapping; null where only BPF could tell and it can't be had. */
static void get_holders(const void *arg, struct cell *ret)
{
	const struct row *row = arg;

	if (row->vma->modes && !row->vma->ctx)
		return;
	cell_holders(ret, row->list, row->vma->ctx);
}

#define SIZE(i)                                                                         \
	static void get_size_##i(const void *arg, struct cell *ret)                     \
	{                                                                               \
		const struct row *row = arg;                                            \
                                                                                        \
		cell_size(ret, row->vma->sizes ? row->vma->sizes[i] : UFFDCTL_UNKNOWN); \
	}
SIZE(0)
SIZE(1)
SIZE(2)
SIZE(3) SIZE(4) SIZE(5) SIZE(6) SIZE(7) SIZE(8) SIZE(9) SIZE(10) SIZE(11) SIZE(12) SIZE(13) SIZE(14) SIZE(15) SIZE(16)

#define SIZES_HELP "with --sizes, as in smaps"
#define SIZE_COLUMN(name, flags, i)                                             \
	{                                                                       \
		name, SIZES_HELP, COL_RIGHT | COL_EXTRA | (flags), get_size_##i \
	}

	static const struct column columns[] = {
		{ "PID", "process", COL_RIGHT, get_pid },
		{ "START", "first address", COL_RIGHT, get_start },
		{ "END", "address behind the last", COL_RIGHT, get_end },
		{ "SIZE", "bytes", COL_RIGHT, get_size },
		{ "PERMS", "as in maps: r, w, x, and s (shared) or p (private)", 0, get_perms },
		{ "FLAGS", "ui minor, um missing, uw write-protect, ur read-write-protect; with --all, all VmFlags", 0,
		  get_flags },
		{ "HOLDERS", "PID:FD of the userfaultfd that owns the mapping", 0, get_holders },
		SIZE_COLUMN("RSS", COL_GROUP, 0),
		SIZE_COLUMN("PSS", COL_GROUP, 1),
		SIZE_COLUMN("PSS_DIRTY", 0, 2),
		SIZE_COLUMN("SHARED_CLEAN", 0, 3),
		SIZE_COLUMN("SHARED_DIRTY", 0, 4),
		SIZE_COLUMN("PRIVATE_CLEAN", 0, 5),
		SIZE_COLUMN("PRIVATE_DIRTY", 0, 6),
		SIZE_COLUMN("REFERENCED", 0, 7),
		SIZE_COLUMN("ANONYMOUS", 0, 8),
		SIZE_COLUMN("ANONHUGEPAGES", 0, 9),
		SIZE_COLUMN("SHMEMPMDMAPPED", 0, 10),
		SIZE_COLUMN("FILEPMDMAPPED", 0, 11),
		SIZE_COLUMN("SHARED_HUGETLB", COL_GROUP, 12),
		SIZE_COLUMN("PRIVATE_HUGETLB", COL_GROUP, 13),
		SIZE_COLUMN("SWAP", COL_GROUP, 14),
		SIZE_COLUMN("SWAPPSS", 0, 15),
		SIZE_COLUMN("LOCKED", 0, 16),
		{ "OFFSET", "offset in the file, bytes", COL_RIGHT | COL_HIDDEN, get_offset },
		{ "PAGE_SIZE", "size of its pages", COL_RIGHT | COL_HIDDEN, get_page_size },
		{ "NAME", "as in maps", COL_WIDE, get_name },
		{}
	};

enum {
	OPT_FLAG = 'F',
	OPT_SIZES = 's',
	OPT_ALL = 'a',
};

static const struct argp_option options[] = {
	{ "flag", OPT_FLAG, "FLAGS", 0, "Only mappings with one of these flags: ui,um,uw,ur", 10 },
	{ "all", OPT_ALL, NULL, 0, "Every mapping, with all its VmFlags", 10 },
	{ "sizes", OPT_SIZES, NULL, 0, "With Rss, Pss, Swap and the like; reads smaps, which walks the page tables",
	  10 },
	{}
};

static void parse_flags(const char *arg, struct argp_state *state)
{
	_cleanup_free_ char *copy = strdup(arg);
	char *rest = copy, *name;

	while (copy && (name = strsep(&rest, ","))) {
		unsigned int i = 0;

		while (mode_flag_name(i) && strcmp(name, mode_flag_name(i)))
			i++;
		if (!mode_flag_name(i))
			argp_error(state, "--flag=%s: write ui, um, uw, ur, or several with commas", arg);
		only_modes |= UINT64_C(1) << i;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OPT_FLAG:
		parse_flags(arg, state);
		return 0;
	case OPT_ALL:
		maps_flags |= UFFDCTL_MAPS_ALL;
		return 0;
	case OPT_SIZES:
		maps_flags |= UFFDCTL_MAPS_SIZES;
		return 0;
	case ARGP_KEY_ARG:
		pids_add(arg, state);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no PID given");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int show_process(struct table *table, pid_t pid, const struct uffdctl_list *list)
{
	struct uffdctl_target *target = NULL;
	struct uffdctl_maps *maps = NULL;
	struct row row = { .pid = pid, .list = list };
	int r = uffdctl_target_open(ctx(), pid, &target);

	if (r >= 0)
		r = uffdctl_maps(target, source, maps_flags, list, &maps);
	for (size_t i = 0; r >= 0 && i < uffdctl_maps_count(maps); i++) {
		row.vma = uffdctl_maps_get(maps, i);
		if (!only_modes || row.vma->modes & only_modes)
			r = table_row(table, &row);
	}
	if (r >= 0 && !uffdctl_maps_count(maps) && !common.json)
		note("%d: no mapping is registered on a userfaultfd", pid);
	if (r >= 0 && common.verbose)
		note("%d: from %s", pid, uffdctl_maps_source(maps) == UFFDCTL_SOURCE_BPF ? "bpf" : "smaps");
	uffdctl_maps_free(maps);
	uffdctl_target_close(target);
	return r;
}

/* Holders are BPF's to tell; without it smaps still has the flags. */
static int get_list(struct uffdctl_list **ret)
{
	if (source == UFFDCTL_SOURCE_PROC)
		return 0;
	return uffdctl_list(ctx(), source, NULL, 0, ret);
}

static int run(void)
{
	struct uffdctl_list *list = NULL;
	struct table *table;
	int failed = 0, r;

	if (table_new("smaps", columns, &table) < 0)
		return EXIT_USAGE;
	if (maps_flags & UFFDCTL_MAPS_SIZES)
		table_show(table, COL_GROUP);
	r = get_list(&list);
	if (r < 0)
		failed = 1;
	for (size_t i = 0; r >= 0 && i < nr_pids; i++)
		if (show_process(table, pids[i], list) < 0)
			failed = 1;
	if (table_close(table) < 0)
		failed = 1;
	uffdctl_list_free(list);
	pids_free();
	uffdctl_free(ctx());
	return failed ? EXIT_UNDONE : EXIT_DONE;
}

const struct cmd cmd_smaps = {
	.name = "smaps",
	.summary = "List mappings with a userfaultfd flag, and their owners",
	.args = "PID...",
	.options = options,
	.parse = parse,
	.children = (const struct argp_child[]){ { &source_argp, 0, NULL, 0 }, { &common_argp, 0, NULL, 0 }, {} },
	.columns = columns,
	.run = run,
};
