// SPDX-License-Identifier: LGPL-2.1-or-later
/* The mappings of a target. */
#include <errno.h>

#include "lib/inspect/maps.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/memory.h"
#include "lib/kernel/source.h"
#include "lib/log.h"
#include "lib/opts.h"

/* smaps has sizes but no owners: take the owners of the mappings that BPF found at the same addresses. */
static int add_owners(struct uffdctl_maps *m, const struct uffdctl_maps *owners)
{
	uint64_t *ids = calloc(m->nr + 1, sizeof(*ids));
	size_t at = 0;

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < m->nr; i++) {
		while (at < owners->nr && owners->vmas[at].range.end <= m->vmas[i].range.start)
			at++;
		if (at == owners->nr || owners->vmas[at].range.start > m->vmas[i].range.start)
			continue;
		m->vmas[i].ctx = owners->vmas[at].ctx;
		m->vmas[i].memory = owners->vmas[at].memory;
		builder_compare_devices(&m->vmas[i], owners->vmas[at].dev_major, owners->vmas[at].dev_minor);
		ids[i] = owners->owners[at];
	}
	m->owners = ids;
	return 0;
}

static int gather_both(struct builder *b, struct uffdctl_maps *m)
{
	struct uffdctl_maps owners = {};
	struct builder ob = { .t = b->t, .m = &owners, .list = b->list, .owners_only = true };
	int r = maps_from_bpf(&ob);

	if (r >= 0)
		r = maps_from_smaps(b);
	if (r >= 0)
		r = add_owners(m, &owners);
	maps_clear(&owners);
	return r;
}

static bool all_flags_known(const struct uffdctl_maps *m)
{
	for (size_t i = 0; i < m->nr; i++)
		if (!m->vmas[i].vm_flags)
			return false;
	return true;
}

static int gather(struct builder *b, enum uffdctl_source wanted)
{
	struct uffdctl *u = b->t->u;
	struct uffdctl_maps *m = b->m;
	int r = source_choose(u, wanted, &m->source, NULL);

	if (r < 0)
		return fail(u, r, "%d: %s", b->t->pid, iter_why(u, r));
	if (m->source == UFFDCTL_SOURCE_PROC)
		return maps_from_smaps(b);
	r = b->flags & UFFDCTL_MAPS_SIZES ? gather_both(b, m) : maps_from_bpf(b);
	if (r < 0 || (b->flags & (UFFDCTL_MAPS_ALL | MAPS_ANY_FLAGS)) != UFFDCTL_MAPS_ALL || all_flags_known(m))
		return r;
	if (wanted == UFFDCTL_SOURCE_BPF)
		return fail(u, -EOPNOTSUPP,
			    "%d: this kernel has VmFlags that are unknown to uffdctl: use --source=proc", b->t->pid);
	m->source = UFFDCTL_SOURCE_PROC;
	return gather_both(b, m);
}

int maps_read(struct uffdctl_target *t, enum uffdctl_source source, unsigned int flags, const struct uffdctl_list *list,
	      struct uffdctl_maps **ret)
{
	struct uffdctl_maps *m = calloc(1, sizeof(*m));
	struct builder b = { .t = t, .m = m, .flags = flags, .list = list };
	int r;

	if (!m)
		return log_oom(t->u);
	r = gather(&b, source);
	if (r >= 0)
		memory_find(t->procfd, m->vmas, m->nr);
	if (r == -ENOMEM)
		log_oom(t->u);
	if (r < 0) {
		uffdctl_maps_free(m);
		return r;
	}
	for (size_t i = 0; m->sizes && i < m->nr; i++)
		m->vmas[i].sizes = m->sizes + i * SMAPS_NR_SIZES;
	*ret = m;
	return 0;
}

OPTS_CHECK(uffdctl_maps_opts, flags);

UFFDCTL_EXPORT int uffdctl_maps(struct uffdctl_target *t, const struct uffdctl_maps_opts *opts,
				struct uffdctl_maps **ret)
{
	struct uffdctl_maps_opts o;
	int r = OPTS_GET(t->u, opts, &o);

	if (r < 0)
		return r;
	if (o.flags & ~(UFFDCTL_MAPS_ALL | UFFDCTL_MAPS_SIZES))
		return fail(t->u, -EINVAL, "uffdctl_maps: unknown flags: 0x%x", o.flags);
	return maps_read(t, o.source, o.flags, o.list, ret);
}

UFFDCTL_EXPORT void uffdctl_maps_free(struct uffdctl_maps *m)
{
	if (!m)
		return;
	maps_clear(m);
	free(m);
}

UFFDCTL_EXPORT size_t uffdctl_maps_count(const struct uffdctl_maps *m)
{
	return m->nr;
}

UFFDCTL_EXPORT const struct uffdctl_vma *uffdctl_maps_get(const struct uffdctl_maps *m, size_t i)
{
	return i < m->nr ? &m->vmas[i] : NULL;
}

UFFDCTL_EXPORT enum uffdctl_source uffdctl_maps_source(const struct uffdctl_maps *m)
{
	return m->source;
}

size_t maps_find(const struct uffdctl_maps *m, uint64_t addr)
{
	size_t lo = 0, hi = m->nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (m->vmas[mid].range.end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct uffdctl_vma *maps_at(const struct uffdctl_maps *m, uint64_t addr)
{
	const struct uffdctl_vma *v = uffdctl_maps_get(m, maps_find(m, addr));

	return v && v->range.start <= addr ? v : NULL;
}

int maps_of_process(struct uffdctl *u, pid_t pid, enum uffdctl_source source, struct uffdctl_maps **ret)
{
	struct uffdctl_target *t = NULL;
	bool silent = u->silent;
	int r;

	u->silent = true;
	r = uffdctl_target_open(u, pid, &t);
	if (r >= 0)
		r = maps_read(t, source, 0, NULL, ret);
	u->silent = silent;
	uffdctl_target_close(t);
	return r;
}
