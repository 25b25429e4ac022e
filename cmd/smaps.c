// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl smaps: registered mappings, and the holders of their owners. */
#include <errno.h>
#include <string.h>

#include "cmd/columns.h"
#include "cmd/options.h"
#include "cmd/pids.h"
#include "cmd/source.h"
#include "lib/cleanup.h"

struct smaps_options {
	struct pids pids;
	enum uffdctl_source source;
	unsigned int flags; /* UFFDCTL_MAPS_* */
	uint64_t modes;	    /* --flag: one of these; 0: all */
};

struct vma_row {
	struct range_row place;
	const struct uffdctl_vma *vma;
	const struct uffdctl_list *list;
	const char *name;
	char label[UFFDCTL_LABEL_BYTES];
	bool all_flags;
};

static const struct uffdctl_vma *vma_of(const void *row)
{
	return ((const struct vma_row *)row)->vma;
}

static void vma_size(const void *row, struct cell *ret)
{
	cell_size(ret, vma_of(row)->range.end - vma_of(row)->range.start);
}

static void vma_perms(const void *row, struct cell *ret)
{
	cell_text(ret, vma_of(row)->perms);
}

static void vma_flags(const void *row, struct cell *ret)
{
	if (!((const struct vma_row *)row)->all_flags)
		cell_bits(ret, vma_of(row)->modes, uffdctl_mode_flag);
	else if (vma_of(row)->vm_flags)
		cell_words(ret, vma_of(row)->vm_flags);
}

static void vma_name(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct vma_row *)row)->name);
}

static void vma_offset(const void *row, struct cell *ret)
{
	cell_number(ret, vma_of(row)->offset);
}

/* Anonymous memory has no file. */
static void vma_inode(const void *row, struct cell *ret)
{
	cell_number(ret, vma_of(row)->inode ?: UFFDCTL_UNKNOWN);
}

static void vma_page_size(const void *row, struct cell *ret)
{
	cell_size(ret, vma_of(row)->page_size);
}

/* The holders of the userfaultfd that owns the mapping; null without BPF. */
static void vma_holders(const void *row, struct cell *ret)
{
	const struct uffdctl_vma *v = vma_of(row);

	if (v->ctx || !v->modes)
		cell_holders(ret, ((const struct vma_row *)row)->list, v->ctx);
}

/* The columns of --sizes have the names of the keys in smaps. */
static void vma_smaps_key(const void *row, struct cell *ret)
{
	const uint64_t *sizes = vma_of(row)->sizes;

	for (unsigned int i = 0; sizes && uffdctl_smaps_key(i); i++)
		if (!strcasecmp(uffdctl_smaps_key(i), ret->column))
			cell_size(ret, sizes[i]);
}

#define SIZE_COLUMN(name, flags)                                                                                      \
	{                                                                                                             \
		name, "size as in smaps, in bytes; only with --sizes", COL_RIGHT | COL_EXTRA | (flags), vma_smaps_key \
	}

static const struct column smaps_columns[] = {
	RANGE_COLUMNS,
	{ "SIZE", "bytes", COL_RIGHT, vma_size },
	{ "PERMS", "as in maps: r, w, x, and s (shared) or p (private)", 0, vma_perms },
	{ "FLAGS", "ui minor, um missing, uw write-protect, ur read-write-protect; with --all, all VmFlags", 0,
	  vma_flags },
	{ "HOLDERS", "holders of the userfaultfd that owns the mapping, as PID:FD", 0, vma_holders },
	SIZE_COLUMN("RSS", COL_GROUP),
	SIZE_COLUMN("PSS", COL_GROUP),
	SIZE_COLUMN("PSS_DIRTY", 0),
	SIZE_COLUMN("SHARED_CLEAN", 0),
	SIZE_COLUMN("SHARED_DIRTY", 0),
	SIZE_COLUMN("PRIVATE_CLEAN", 0),
	SIZE_COLUMN("PRIVATE_DIRTY", 0),
	SIZE_COLUMN("REFERENCED", 0),
	SIZE_COLUMN("ANONYMOUS", 0),
	SIZE_COLUMN("ANONHUGEPAGES", 0),
	SIZE_COLUMN("SHMEMPMDMAPPED", 0),
	SIZE_COLUMN("FILEPMDMAPPED", 0),
	SIZE_COLUMN("SHARED_HUGETLB", COL_GROUP),
	SIZE_COLUMN("PRIVATE_HUGETLB", COL_GROUP),
	SIZE_COLUMN("SWAP", COL_GROUP),
	SIZE_COLUMN("SWAPPSS", 0),
	SIZE_COLUMN("LOCKED", 0),
	{ "OFFSET", "offset in the file, bytes", COL_RIGHT | COL_LONG, vma_offset },
	{ "INODE", "number of the file; mappings of one file have the same", COL_RIGHT | COL_HIDDEN, vma_inode },
	{ "PAGE_SIZE", "size of its pages", COL_RIGHT | COL_HIDDEN, vma_page_size },
	{ "NAME", "as in maps; [anon:START] if it has none there", COL_WIDE, vma_name },
	{}
};

enum {
	OPT_FLAG = 'F',
	OPT_SIZES = 's',
	OPT_ALL = 'a',
};

static const struct argp_option smaps_options[] = {
	{ "flag", OPT_FLAG, "FLAGS", 0, "List only mappings with one of these flags: ui,um,uw,ur", 10 },
	{ "all", OPT_ALL, NULL, 0, "List every mapping, with all its VmFlags", 10 },
	{ "sizes", OPT_SIZES, NULL, 0,
	  "Also show Rss, Pss, Swap and so on; reads smaps, for which the kernel walks the page tables", 10 },
	{}
};

static error_t parse_flags(const char *arg, uint64_t *modes, const struct argp_state *state)
{
	_cleanup_free_ char *copy = strdup(arg);
	char *rest = copy, *name;

	if (!copy)
		return ENOMEM;
	while ((name = strsep(&rest, ","))) {
		unsigned int bit = 0;

		while (uffdctl_mode_flag(bit) && strcmp(name, uffdctl_mode_flag(bit)))
			bit++;
		if (!uffdctl_mode_flag(bit))
			return usage_error(state, "--flag=%s: write ui, um, uw, ur, or several, separated by commas",
					   arg);
		*modes |= UINT64_C(1) << bit;
	}
	return 0;
}

static error_t parse_smaps(int key, char *arg, struct argp_state *state)
{
	struct smaps_options *o = state->input;

	switch (key) {
	case OPT_FLAG:
		return parse_flags(arg, &o->modes, state);
	case OPT_ALL:
		o->flags |= UFFDCTL_MAPS_ALL;
		return 0;
	case OPT_SIZES:
		o->flags |= UFFDCTL_MAPS_SIZES;
		return 0;
	case ARGP_KEY_END:
		return o->pids.nr ? 0 : usage_error(state, "no PID given: write a PID or %%NAME, see uffdctl list");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int add_mappings(struct invocation *inv, const struct uffdctl_maps *maps, struct vma_row *row)
{
	const struct smaps_options *o = inv->options;
	size_t nr = 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < uffdctl_maps_count(maps); i++) {
		row->vma = uffdctl_maps_get(maps, i);
		row->place.range = row->vma->range;
		if (o->modes && !(row->vma->modes & o->modes))
			continue;
		row->name = uffdctl_vma_label(row->vma, row->label);
		r = table_row(inv->table, row);
		nr++;
	}
	if (r >= 0 && !nr && !inv->style.json)
		note(&inv->messages, "%d: no mapping is registered on a userfaultfd%s", row->place.pid,
		     o->modes ? " with such a flag: without --flag, all that are registered are listed"
			      : ": --all lists every mapping");
	if (r >= 0 && inv->verbose)
		note(&inv->messages, "%d: from %s", row->place.pid,
		     uffdctl_maps_source(maps) == UFFDCTL_SOURCE_BPF ? "bpf" : "smaps");
	return r;
}

static int list_process(struct invocation *inv, pid_t pid, const struct uffdctl_list *list)
{
	const struct smaps_options *o = inv->options;
	struct vma_row row = { .place.pid = pid, .list = list, .all_flags = o->flags & UFFDCTL_MAPS_ALL };
	const struct uffdctl_maps_opts opts = { sizeof(opts), list, o->source, o->flags };
	struct uffdctl_target *target = NULL;
	struct uffdctl_maps *maps = NULL;
	int r;

	inv->messages.pid = pid;
	r = uffdctl_target_open(inv->context, pid, &target);
	if (r >= 0)
		r = uffdctl_maps(target, &opts, &maps);
	if (r >= 0)
		r = add_mappings(inv, maps, &row);
	uffdctl_maps_free(maps);
	uffdctl_target_close(target);
	return r;
}

static int run_smaps(struct invocation *inv)
{
	struct smaps_options *o = inv->options;
	const struct uffdctl_find_opts opts = { .size = sizeof(opts), .source = o->source };
	struct uffdctl_list *list = NULL;
	bool failed;
	int r = pids_find(&o->pids, inv);

	if (o->flags & UFFDCTL_MAPS_SIZES)
		table_show(inv->table, COL_GROUP);
	/* Only BPF knows holders; without it smaps still shows the flags. */
	if (r >= 0 && o->source != UFFDCTL_SOURCE_PROC)
		r = uffdctl_list(inv->context, &opts, &list);
	failed = r < 0;
	for (size_t i = 0; r >= 0 && i < o->pids.nr; i++)
		failed |= list_process(inv, o->pids.list[i], list) < 0;
	failed |= table_end(inv->table) < 0;
	if (list)
		source_note(inv, list, 0);
	uffdctl_list_free(list);
	pids_free(&o->pids);
	return failed ? EXIT_UNDONE : EXIT_DONE;
}

static const struct option_group smaps_groups[] = {
	{ &pids_argp, offsetof(struct smaps_options, pids) },
	{ &source_argp, offsetof(struct smaps_options, source) },
	{},
};

const struct cmd cmd_smaps = {
	.name = "smaps",
	.summary = "List registered mappings, and who holds their userfaultfd",
	.args = "PID...",
	.options = smaps_options,
	.parse = parse_smaps,
	.groups = smaps_groups,
	.options_size = sizeof(struct smaps_options),
	.columns = smaps_columns,
	.run = run_smaps,
};
