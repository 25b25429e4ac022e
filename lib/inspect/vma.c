// SPDX-License-Identifier: LGPL-2.1-or-later
/* The mappings of a target, from BPF or from smaps. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/inspect/vma.h"
#include "lib/kernel/kind.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/uapi.h"
#include "lib/kernel/vmflags.h"
#include "lib/log.h"

struct builder {
	struct uffdctl_target *t;
	struct uffdctl_maps *m;
	size_t vmas_alloc, ctxs_alloc, sizes_alloc;
	unsigned int flags;
	bool owners_only; /* smaps is asked for the rest */
	const struct vmflags *vmflags;
	const struct uffdctl_list *list;
};

static void maps_clear(struct uffdctl_maps *m)
{
	free(m->vmas);
	free(m->ctxs);
	free(m->sizes);
	strpool_free(&m->strings);
	*m = (struct uffdctl_maps){ .source = m->source };
}

/* ---- from BPF ---- */

static int add_event(const void *arg_ev, void *arg)
{
	const struct ev_vma *ev = arg_ev;
	struct builder *b = arg;
	struct uffdctl_maps *m = b->m;
	struct uffdctl_vma *v;
	uint64_t *ctx;
	char text[64 * 3];
	size_t nr = m->nr;

	v = vec_add(m->vmas, m->nr, b->vmas_alloc);
	ctx = vec_add(m->ctxs, nr, b->ctxs_alloc);
	if (!v || !ctx)
		return -ENOMEM;
	*ctx = ev->ctx;
	*v = (struct uffdctl_vma){
		.range = { ev->start, ev->end },
		.modes = vmflags_modes(b->vmflags, ev->vm_flags),
		.page_size = ev->page_size ?: base_page_size(),
		.ctx = b->list ? list_ctx(b->list, ev->ctx) : 0,
		.kind = kind_of_event(ev),
		.fs_dev = ev->dev,
	};
	if (ev->vm_flags & ~b->vmflags->known)
		return 0;
	vmflags_text(b->vmflags, ev->vm_flags, text);
	v->vm_flags = strpool_get(&m->strings, text);
	return v->vm_flags ? 0 : -ENOMEM;
}

/* As seq_path() of /proc/PID/maps writes it. */
static void escape_newlines(const char *name, char *buf)
{
	for (; *name; name++) {
		if (*name == '\n')
			buf = stpcpy(buf, "\\012");
		else
			*buf++ = *name;
	}
	*buf = '\0';
}

static int vma_name(struct uffdctl_maps *m, struct uffdctl_vma *v, const char *name)
{
	v->name = strpool_get(&m->strings, name);
	return v->name ? 0 : -ENOMEM;
}

/* -EAGAIN: there is another mapping now. */
static int fill_by_query(struct builder *b, struct uffdctl_vma *v)
{
	char name[PATH_MAX], mangled[PATH_MAX * 4];
	struct procmap_query q = {
		.size = sizeof(q),
		.query_addr = v->range.start,
		.vma_name_addr = (uintptr_t)name,
		.vma_name_size = sizeof(name),
	};

	if (ioctl(b->t->mapsfd, PROCMAP_QUERY, &q) < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (q.vma_start != v->range.start || q.vma_end != v->range.end)
		return -EAGAIN;
	snprintf(v->perms, sizeof(v->perms), "%c%c%c%c", q.vma_flags & PROCMAP_QUERY_VMA_READABLE ? 'r' : '-',
		 q.vma_flags & PROCMAP_QUERY_VMA_WRITABLE ? 'w' : '-',
		 q.vma_flags & PROCMAP_QUERY_VMA_EXECUTABLE ? 'x' : '-',
		 q.vma_flags & PROCMAP_QUERY_VMA_SHARED ? 's' : 'p');
	v->offset = q.vma_offset;
	v->inode = q.inode;
	v->dev_major = q.dev_major;
	v->dev_minor = q.dev_minor;
	v->page_size = q.vma_page_size;
	escape_newlines(q.vma_name_size ? name : "", mangled);
	return vma_name(b->m, v, mangled);
}

static int fill_from_line(struct builder *b, struct uffdctl_vma *v, const struct maps_line *l)
{
	memcpy(v->perms, l->perms, sizeof(v->perms));
	v->offset = l->offset;
	v->inode = l->inode;
	v->dev_major = l->dev_major;
	v->dev_minor = l->dev_minor;
	return vma_name(b->m, v, l->name);
}

/* Before Linux 6.11: all of /proc/PID/maps, beside the mappings that BPF told of. */
static int fill_by_maps(struct builder *b)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *line = NULL;
	struct maps_line l;
	size_t i = 0, size = 0;
	int r;

	r = target_open_file(b->t, "maps", O_RDONLY, &fd);
	if (r < 0)
		return r;
	f = fdopen(fd, "r");
	if (!f)
		return -ENOMEM;
	fd = -1;
	while (i < b->m->nr && getline(&line, &size, f) > 0) {
		struct uffdctl_vma *v = &b->m->vmas[i];

		if (maps_line_parse(line, &l) < 0)
			return -EPROTO;
		if (l.range.end <= v->range.start)
			continue;
		if (l.range.start != v->range.start || l.range.end != v->range.end)
			return -EAGAIN;
		r = fill_from_line(b, v, &l);
		if (r < 0)
			return r;
		i++;
	}
	return i < b->m->nr ? -EAGAIN : 0;
}

/* Mostly the process is gone. */
static int mappings_error(struct builder *b, int err)
{
	int r = target_check(b->t);

	return r < 0 ? r : fail(b->t->u, err, "%d: mappings: %s", b->t->pid, strerror(-err));
}

static int fill(struct builder *b)
{
	int r;

	for (size_t i = 0; i < b->m->nr; i++) {
		r = fill_by_query(b, &b->m->vmas[i]);
		/* It takes no name of 4096 bytes and more. */
		if (r == -ENOTTY || r == -ENAMETOOLONG)
			return fill_by_maps(b);
		if (r < 0)
			return r == -EAGAIN ? r : mappings_error(b, r);
	}
	return 0;
}

static int gather_bpf(struct builder *b)
{
	struct uffdctl *u = b->t->u;
	struct iter *it;
	int r = iter_get(u, &it);

	if (r < 0)
		return r;
	r = vmflags_get(u, it, &b->vmflags);
	if (r < 0)
		return r;

	/* The mappings may change between the iterator's look and ours: look again. */
	for (int tries = 0; tries < 16; tries++) {
		maps_clear(b->m);
		b->vmas_alloc = b->ctxs_alloc = 0;
		r = iter_vmas(it, b->t->pid, !(b->flags & UFFDCTL_MAPS_ALL), add_event, b);
		r = r < 0 ? mappings_error(b, r) : target_check(b->t);
		if (r >= 0 && !b->owners_only)
			r = fill(b);
		if (r != -EAGAIN)
			return r;
	}
	return fail(u, r, "%d: the mappings change faster than they can be read: try again", b->t->pid);
}

/* ---- from smaps ---- */

static int begin_mapping(struct builder *b, const struct maps_line *l)
{
	struct uffdctl_maps *m = b->m;
	struct uffdctl_vma *v = vec_add(m->vmas, m->nr, b->vmas_alloc);

	if (!v)
		return -ENOMEM;
	*v = (struct uffdctl_vma){ .range = l->range, .page_size = base_page_size() };
	if (b->flags & UFFDCTL_MAPS_SIZES) {
		if (!vec_grow(&m->sizes, m->nr - 1, &b->sizes_alloc, UFFDCTL_NR_SIZES * sizeof(*m->sizes)))
			return -ENOMEM;
		for (int i = 0; i < UFFDCTL_NR_SIZES; i++)
			m->sizes[(m->nr - 1) * UFFDCTL_NR_SIZES + i] = UFFDCTL_UNKNOWN;
	}
	return fill_from_line(b, v, l);
}

/* A mapping's lines are complete: keep it, or not. */
static void end_mapping(struct builder *b)
{
	struct uffdctl_maps *m = b->m;
	struct uffdctl_vma *v = m->nr ? &m->vmas[m->nr - 1] : NULL;

	if (v && ((!v->modes && !(b->flags & UFFDCTL_MAPS_ALL)) || !strcmp(v->name, "[vsyscall]")))
		m->nr--;
}

static int mapping_line(struct builder *b, char *line)
{
	struct uffdctl_maps *m = b->m;
	struct uffdctl_vma *v = &m->vmas[m->nr - 1];
	uint64_t bytes;
	char *text;
	int key;

	key = smaps_size_parse(line, &bytes);
	if (key == SMAPS_KERNEL_PAGE_SIZE)
		v->page_size = bytes;
	else if (key >= 0 && m->sizes)
		m->sizes[(m->nr - 1) * UFFDCTL_NR_SIZES + key] = bytes;
	text = key < 0 ? smaps_flags_parse(line) : NULL;
	if (!text)
		return 0;
	v->modes = vmflags_modes_of_text(text);
	v->vm_flags = strpool_get(&m->strings, text);
	return v->vm_flags ? 0 : -ENOMEM;
}

static int read_smaps(struct builder *b, FILE *f)
{
	_cleanup_free_ char *line = NULL;
	struct maps_line l;
	bool open = false;
	size_t size = 0;
	int r;

	while (errno = 0, getline(&line, &size, f) > 0) {
		/* Keys begin with a capital, addresses with a digit. */
		if (line[0] >= 'A' && line[0] <= 'Z') {
			r = open ? mapping_line(b, line) : -EPROTO;
		} else {
			if (open)
				end_mapping(b);
			open = true;
			r = maps_line_parse(line, &l);
			if (r >= 0)
				r = begin_mapping(b, &l);
		}
		if (r < 0)
			return r;
	}
	if (open)
		end_mapping(b);
	return errno ? -errno : 0;
}

static int gather_proc(struct builder *b)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	maps_clear(b->m);
	b->vmas_alloc = 0;
	r = target_open_file(b->t, "smaps", O_RDONLY, &fd);
	if (r < 0)
		return fail(b->t->u, r, "%d: /proc/%d/smaps: %s", b->t->pid, b->t->pid, strerror(-r));
	f = fdopen(fd, "r");
	if (!f)
		return -ENOMEM;
	fd = -1;
	r = read_smaps(b, f);
	return r < 0 ? r : target_check(b->t);
}

/* smaps knows sizes but no owners: take those of the mappings that BPF found at the same place. */
static int add_owners(struct builder *b, struct uffdctl_maps *owners)
{
	struct uffdctl_maps *m = b->m;
	size_t at = 0;

	m->ctxs = calloc(m->nr, sizeof(*m->ctxs));
	if (!m->ctxs && m->nr)
		return -ENOMEM;
	for (size_t i = 0; i < m->nr; i++) {
		while (at < owners->nr && owners->vmas[at].range.end <= m->vmas[i].range.start)
			at++;
		if (at == owners->nr || owners->vmas[at].range.start > m->vmas[i].range.start)
			continue;
		m->vmas[i].ctx = owners->vmas[at].ctx;
		m->vmas[i].kind = owners->vmas[at].kind;
		m->vmas[i].fs_dev = owners->vmas[at].fs_dev;
		m->ctxs[i] = owners->ctxs[at];
	}
	return 0;
}

static int gather_both(struct builder *b)
{
	struct uffdctl_maps owners = {};
	struct builder ob = { .t = b->t, .m = &owners, .list = b->list, .owners_only = true };
	int r = gather_bpf(&ob);

	if (r >= 0)
		r = gather_proc(b);
	if (r >= 0)
		r = add_owners(b, &owners);
	maps_clear(&owners);
	return r;
}

/* ---- both ---- */

static bool all_flags_known(const struct uffdctl_maps *m)
{
	for (size_t i = 0; i < m->nr; i++)
		if (!m->vmas[i].vm_flags)
			return false;
	return true;
}

static int gather(struct builder *b, enum uffdctl_source source)
{
	struct uffdctl *u = b->t->u;
	int r;

	if (source == UFFDCTL_SOURCE_PROC) {
		b->m->source = UFFDCTL_SOURCE_PROC;
		return gather_proc(b);
	}
	b->m->source = UFFDCTL_SOURCE_BPF;
	r = b->flags & UFFDCTL_MAPS_SIZES ? gather_both(b) : gather_bpf(b);
	if (r >= 0 && (b->flags & (UFFDCTL_MAPS_ALL | MAPS_ANY_FLAGS)) == UFFDCTL_MAPS_ALL && !all_flags_known(b->m)) {
		if (source == UFFDCTL_SOURCE_BPF)
			return fail(u, -EOPNOTSUPP,
				    "%d: this kernel has VmFlags that are new to uffdctl: use source proc", b->t->pid);
		b->m->source = UFFDCTL_SOURCE_PROC;
		return gather_both(b);
	}
	if (source == UFFDCTL_SOURCE_AUTO && !u->iter) {
		b->m->source = UFFDCTL_SOURCE_PROC;
		return gather_proc(b);
	}
	if (r < 0 && !u->iter)
		return fail(u, r, "%d: %s", b->t->pid, iter_why(r));
	return r;
}

UFFDCTL_EXPORT int uffdctl_maps(struct uffdctl_target *t, enum uffdctl_source source, unsigned int flags,
				const struct uffdctl_list *list, struct uffdctl_maps **ret)
{
	struct uffdctl_maps *m = calloc(1, sizeof(*m));
	struct builder b = { .t = t, .m = m, .flags = flags, .list = list };
	int r;

	if (!m)
		return log_oom(t->u);
	r = gather(&b, source);
	if (r >= 0)
		kinds_find(t->procfd, m->vmas, m->nr);
	if (r == -ENOMEM)
		log_oom(t->u);
	if (r < 0) {
		uffdctl_maps_free(m);
		return r;
	}
	for (size_t i = 0; m->sizes && i < m->nr; i++)
		m->vmas[i].sizes = m->sizes + i * UFFDCTL_NR_SIZES;
	*ret = m;
	return 0;
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

static bool shows_same(const struct uffdctl_vma *v, const struct maps_line *l)
{
	return l->perms[3] == v->perms[3] && l->inode == v->inode && l->dev_major == v->dev_major &&
	       l->dev_minor == v->dev_minor && (!v->inode || l->offset - l->range.start == v->offset - v->range.start);
}

/* The mapping at an address, by PROCMAP_QUERY; name is not filled in. */
static int query(struct uffdctl_target *t, uint64_t addr, struct maps_line *ret)
{
	struct procmap_query q = { .size = sizeof(q), .query_addr = addr };

	if (ioctl(t->mapsfd, PROCMAP_QUERY, &q) < 0)
		return -errno;
	*ret = (struct maps_line){ .range = { q.vma_start, q.vma_end },
				   .offset = q.vma_offset,
				   .dev_major = q.dev_major,
				   .dev_minor = q.dev_minor,
				   .inode = q.inode };
	ret->perms[3] = q.vma_flags & PROCMAP_QUERY_VMA_SHARED ? 's' : 'p';
	return 0;
}

int vma_is_still_by_maps(struct uffdctl_target *t, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	int fd = openat(t->procfd, "maps", O_RDONLY | O_CLOEXEC);
	struct maps_line l;
	size_t size = 0;

	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f)
		return -ESRCH;
	while (range.start < range.end && getline(&line, &size, f) > 0) {
		if (maps_line_parse(line, &l) < 0)
			return -EPROTO;
		if (l.range.end <= range.start)
			continue;
		if (l.range.start > range.start || !shows_same(v, &l))
			return -ENOENT;
		range.start = l.range.end;
	}
	return range.start < range.end ? -ENOENT : 0;
}

/* It may have been split since, but not moved or replaced. */
int vma_is_still(struct uffdctl_target *t, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	struct maps_line l = {};
	int r;

	while (range.start < range.end) {
		r = query(t, range.start, &l);
		if (r < 0)
			return r;
		if (!shows_same(v, &l))
			return -ENOENT;
		range.start = l.range.end;
	}
	return 0;
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

char *vma_describe(const struct uffdctl_vma *v)
{
	_cleanup_free_ char *name = escaped(v->name ? v->name : "");
	char *text;

	if (!name || asprintf(&text, "%" PRIx64 "-%" PRIx64 " %s%s%s", v->range.start, v->range.end, v->perms,
			      *name ? " " : "", name) < 0)
		return NULL;
	return text;
}
