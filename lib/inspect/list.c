// SPDX-License-Identifier: LGPL-2.1-or-later
/* Userfaultfds and their holders. */
#include <errno.h>
#include <string.h>

#include "lib/inspect/list.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/source.h"
#include "lib/log.h"
#include "lib/opts.h"
#include "lib/util.h"

uint32_t list_ctx(const struct uffdctl_list *l, uint64_t id)
{
	if (!id || l->source != UFFDCTL_SOURCE_BPF)
		return 0;
	for (size_t i = 0; i < l->nr; i++)
		if (l->ids[i] == id)
			return l->uffds[i].ctx;
	return UFFDCTL_CTX_UNHELD;
}

char *list_name(const struct uffdctl_list *l, bool (*is_wanted)(const struct uffdctl_uffd *d, const void *arg),
		const void *arg)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < l->nr; i++)
		if (is_wanted(&l->uffds[i], arg))
			fprintf(f, "%s%d:%d", ftell(f) ? ", " : "", l->uffds[i].pid, l->uffds[i].fd);
	return fclose(f) ? free(text), NULL : text;
}

static bool has_ctx(const struct uffdctl_uffd *d, const void *arg)
{
	return d->ctx == *(const uint32_t *)arg;
}

char *list_holders(const struct uffdctl_list *l, uint32_t ctx)
{
	return ctx == UFFDCTL_CTX_UNHELD ? strdup("a userfaultfd that no visible process holds")
					 : list_name(l, has_ctx, &ctx);
}

/* ---- which of them ---- */

static bool names_pid(const struct uffdctl_uffd *d, const pid_t *pids, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (d->pid == pids[i] || d->target_pid == pids[i])
			return true;
	return false;
}

/* If one descriptor of a userfaultfd is kept, keep all of its descriptors. */
static bool wanted(const struct uffdctl_list *l, size_t i, const pid_t *pids, size_t nr)
{
	for (size_t k = 0; k < l->nr; k++)
		if ((k == i || (l->uffds[i].ctx && l->uffds[k].ctx == l->uffds[i].ctx)) &&
		    names_pid(&l->uffds[k], pids, nr))
			return true;
	return !pids;
}

/* After numbering, so that the same userfaultfd has the same number whatever is asked for. */
static int keep_wanted(struct uffdctl_list *l, const pid_t *pids, size_t nr_pids)
{
	_cleanup_free_ bool *keep = calloc(l->nr, sizeof(*keep));
	size_t n = 0;

	if (!keep && l->nr)
		return -ENOMEM;
	for (size_t i = 0; i < l->nr; i++)
		keep[i] = wanted(l, i, pids, nr_pids);
	for (size_t i = 0; i < l->nr; i++) {
		if (!keep[i])
			continue;
		l->uffds[n] = l->uffds[i];
		if (l->ids) {
			l->ids[n] = l->ids[i];
			l->mms[n] = l->mms[i];
		}
		n++;
	}
	l->nr = n;
	return 0;
}

/* ---- all ---- */

static int gather(struct uffdctl *u, enum uffdctl_source wanted, bool with_bytes, struct uffdctl_list *l)
{
	int r = source_choose(u, wanted, &l->source, &l->why);

	if (r >= 0 && l->source == UFFDCTL_SOURCE_PROC) {
		r = list_from_proc(l, 0);
		return r < 0 ? fail(u, r, "/proc: %s", strerror(-r)) : 0;
	}
	if (r >= 0)
		r = list_from_bpf(u, l, with_bytes);
	if (r < 0 && wanted == UFFDCTL_SOURCE_BPF)
		return fail(u, r, "%s", iter_why(u, r));
	return r < 0 ? fail(u, r, "looking for userfaultfds: %s", iter_why(u, r)) : 0;
}

int list_open(struct uffdctl *u, enum uffdctl_source wanted, bool with_bytes, struct uffdctl_list **ret)
{
	struct uffdctl_list *l;
	int r;

	if (proc_check_namespace() < 0)
		return fail(u, -EXDEV, TEXT_PROC);
	l = calloc(1, sizeof(*l));
	if (!l)
		return log_oom(u);
	r = gather(u, wanted, with_bytes, l);
	if (r < 0) {
		uffdctl_list_free(l);
		return r;
	}
	log_info(u, "userfaultfds from %s", l->source == UFFDCTL_SOURCE_BPF ? "bpf" : "proc");
	*ret = l;
	return 0;
}

int list_of_memory(struct uffdctl *u, pid_t pid, uint64_t mm, bool all, struct uffdctl_list **ret)
{
	struct uffdctl_list *l = calloc(1, sizeof(*l));
	enum uffdctl_source source;
	int r;

	if (!l)
		return log_oom(u);
	r = mm ? list_from_bpf_of(u, l, all ? 0 : pid, mm) : source_choose(u, UFFDCTL_SOURCE_AUTO, &source, &l->why);
	if (r >= 0 && !mm)
		r = list_from_proc(l, pid);
	if (r < 0) {
		uffdctl_list_free(l);
		return fail(u, r, "looking for userfaultfds: %s", strerror(-r));
	}
	l->source = mm ? UFFDCTL_SOURCE_BPF : UFFDCTL_SOURCE_PROC;
	for (size_t i = 0; mm && i < l->nr; i++)
		l->uffds[i].target_pid = pid;
	*ret = l;
	return 0;
}

OPTS_CHECK(uffdctl_find_opts, flags);

int list_opts(struct uffdctl *u, const struct uffdctl_find_opts *opts, struct uffdctl_find_opts *ret)
{
	int r = OPTS_GET(u, opts, ret);

	if (r >= 0 && ret->flags & ~UFFDCTL_FIND_HANDLERS)
		r = fail(u, -EINVAL, "uffdctl_list, uffdctl_pending: unknown flags: 0x%x", ret->flags);
	return r;
}

UFFDCTL_EXPORT int uffdctl_list(struct uffdctl *u, const struct uffdctl_find_opts *opts, struct uffdctl_list **ret)
{
	struct uffdctl_find_opts o;
	struct uffdctl_list *l;
	int r = list_opts(u, opts, &o);

	if (r >= 0)
		r = list_open(u, o.source, true, &l);
	if (r < 0)
		return r;
	r = keep_wanted(l, o.pids, o.nr_pids);
	if (r < 0) {
		uffdctl_list_free(l);
		return log_oom(u);
	}
	*ret = l;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_list_free(struct uffdctl_list *l)
{
	if (!l)
		return;
	free(l->uffds);
	free(l->ids);
	free(l->mms);
	free(l);
}

UFFDCTL_EXPORT size_t uffdctl_list_count(const struct uffdctl_list *l)
{
	return l->nr;
}

UFFDCTL_EXPORT const struct uffdctl_uffd *uffdctl_list_get(const struct uffdctl_list *l, size_t i)
{
	return i < l->nr ? &l->uffds[i] : NULL;
}

UFFDCTL_EXPORT enum uffdctl_source uffdctl_list_source(const struct uffdctl_list *l)
{
	return l->source;
}

UFFDCTL_EXPORT const char *uffdctl_list_why(const struct uffdctl_list *l)
{
	return l->why;
}

UFFDCTL_EXPORT size_t uffdctl_list_hidden(const struct uffdctl_list *l)
{
	return l->nr_hidden;
}
