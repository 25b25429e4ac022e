// SPDX-License-Identifier: LGPL-2.1-or-later
/* The file of a target's mapping, opened by us: for a second mapping, to peek, and to stat it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/inspect/pagecache.h"
#include "lib/kernel/mincore.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"
#include "lib/util.h"
#include "lib/vma.h"

/*
 * Is this file, opened with O_PATH, the mapped one? It may be another one: descriptors and mappings change. Use only
 * what the kernel knows of the inode, since its file system might not answer.
 */
static bool is_file_of(int fd, const struct uffdctl_vma *v)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO | STATX_TYPE, &st) == 0 &&
	       S_ISREG(st.stx_mode) && vma_has_file(v, st.stx_dev_major, st.stx_dev_minor, st.stx_ino);
}

struct search {
	struct uffdctl_target *t;
	const struct uffdctl_vma *v;
	int mode; /* O_RDWR, O_RDONLY, or O_PATH only to look at it */
	int err;
	int found;
};

static bool allows(int fd, int mode)
{
	int has = fcntl(fd, F_GETFL) & O_ACCMODE;

	return has == O_RDWR || has == mode;
}

/*
 * Open it twice: with O_PATH, which does not call the file system, and then in the wanted mode if it is the right
 * file.
 */
static int try_path(struct search *s, const char *path)
{
	_cleanup_close_ int path_fd = openat(s->t->procfd, path, O_PATH | O_CLOEXEC);
	char self[64];

	if (path_fd < 0)
		return s->err = -errno;
	if (!is_file_of(path_fd, s->v))
		return s->err = -ESTALE;
	if (s->mode == O_PATH) {
		s->found = steal_fd(path_fd);
		return 0;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", path_fd);
	s->found = open(self, s->mode | O_CLOEXEC);
	return s->found < 0 ? s->err = -errno : 0;
}

/* fdinfo does not call the file system: use it to skip most descriptors. */
static bool has_inode(struct search *s, uint32_t n)
{
	char path[32], text[1024];
	unsigned long long ino;
	const char *p;

	snprintf(path, sizeof(path), "fdinfo/%u", n);
	if (proc_read(s->t->procfd, path, text, sizeof(text)) < 0)
		return false;
	p = strstr(text, "\nino:");
	return p && sscanf(p, "\nino: %llu", &ino) == 1 && ino == s->v->inode;
}

/* Reopen it by its name under /proc, or use a duplicate if it is open in the wanted mode. */
static int try_descriptor(uint32_t n, void *arg)
{
	struct search *s = arg;
	_cleanup_close_ int fd = -1;
	char path[32];
	int r;

	if (!has_inode(s, n))
		return 0;
	snprintf(path, sizeof(path), "fd/%u", n);
	r = try_path(s, path);
	if (r >= 0)
		return 1;
	if (r == -ESTALE || s->mode == O_PATH || pidfd_take_fd(s->t->pid, s->t->pidfd, n, &fd) < 0 ||
	    !allows(fd, s->mode) || !is_file_of(fd, s->v))
		return 0;
	s->found = steal_fd(fd);
	return 1;
}

/* A file of a stacked file system, such as overlayfs, is not opened, even if the file beneath it would do. */
static bool is_opened(const struct uffdctl_vma *v)
{
	return !v->stacked && (v->memory == UFFDCTL_MEMORY_SHMEM || v->memory == UFFDCTL_MEMORY_HUGETLB ||
			       v->memory == UFFDCTL_MEMORY_GUEST_MEMFD);
}

/* map_files needs privileges; a descriptor that the process holds works as well. */
static int open_file(struct search *s)
{
	char path[PROC_MAP_FILE_BYTES];
	int first;

	s->found = -1;
	if (!is_opened(s->v))
		return s->err = -EOPNOTSUPP;
	proc_map_file(s->v->range, path);
	first = try_path(s, path);
	if (first < 0)
		proc_each_number(s->t->procfd, "fd", try_descriptor, s);
	return s->found < 0 ? s->err = s->err == -ESTALE ? first : s->err : 0;
}

int pagecache_stat(struct uffdctl_target *t, const struct uffdctl_vma *v, struct stat *ret)
{
	struct search s = { .t = t, .v = v, .mode = O_PATH };
	int r = open_file(&s);

	if (r < 0)
		return r;
	r = fstat(s.found, ret) < 0 ? -errno : 0;
	close(s.found);
	return r;
}

static int fail_open(struct uffdctl_target *t, const struct uffdctl_vma *v, int mode, int err)
{
	_cleanup_free_ char *what = vma_describe(v);

	switch (err) {
	case -EOPNOTSUPP:
		return fail(t->u, err,
			    "%d: %s: its file is not opened, because %s: a file of a network or user-space file system could block uffdctl",
			    t->pid, what,
			    v->memory == UFFDCTL_MEMORY_UNKNOWN
				    ? "its file system is not known without BPF"
				    : "it is not known to be a file of tmpfs, hugetlbfs or guest_memfd itself");
	case -ENXIO:
		return fail(t->u, err,
			    "%d: %s: its file can't be opened a second time (ENXIO): needs a descriptor of it in the process, and ptrace access (uffdctl copy needs no second mapping)",
			    t->pid, what);
	case -ESTALE:
		return fail(t->u, err, "%d: %s: the mapping there has changed to another file", t->pid, what);
	default:
		return fail(t->u, err,
			    "%d: %s: opening its file a second time: %s (needs CAP_CHECKPOINT_RESTORE, or a descriptor of it that the process has open for %s)",
			    t->pid, what, strerror(-err), mode == O_RDWR ? "writing" : "reading");
	}
}

static int open_for(struct uffdctl_target *t, const struct uffdctl_vma *v, int mode, int *ret)
{
	struct search s = { .t = t, .v = v, .mode = mode };
	int r;

	open_file(&s);
	r = target_check(t);
	if (r < 0) {
		cleanup_close(&s.found);
		return r;
	}
	if (s.found < 0)
		return fail_open(t, v, mode, s.err);
	*ret = s.found;
	return 0;
}

int pagecache_open(struct uffdctl_target *t, const struct uffdctl_vma *v, int *ret)
{
	return open_for(t, v, O_RDWR, ret);
}

int pagecache_open_read(struct uffdctl_target *t, const struct uffdctl_vma *v, int *ret)
{
	return open_for(t, v, O_RDONLY, ret);
}

int pagecache_try_open(struct uffdctl_target *t, const struct uffdctl_vma *v, bool writes, int *ret)
{
	struct search s = { .t = t, .v = v, .mode = writes ? O_RDWR : O_RDONLY };
	int r = open_file(&s);

	if (r < 0)
		return r;
	if (target_is_gone(t)) {
		close(s.found);
		return -ESRCH;
	}
	*ret = s.found;
	return 0;
}

/* For hugetlbfs there is no other way: mincore(2), SEEK_DATA and cachestat(2) do not see its pages. */
static int holds_huge(int fd, uint64_t offset, const struct uffdctl_vma *v)
{
	_cleanup_close_ int guard = -1;
	struct uffdctl_range own;
	uint64_t done;
	void *p;
	int r = uffd_guard(&guard);

	if (r < 0)
		return r;
	p = mmap(NULL, v->page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);
	if (p == MAP_FAILED)
		return -errno;
	own = (struct uffdctl_range){ (uintptr_t)p, (uintptr_t)p + v->page_size };
	r = uffd_register(guard, own, UFFDIO_REGISTER_MODE_MINOR, NULL);
	if (r >= 0)
		r = uffd_continue(guard, own, UFFDIO_CONTINUE_MODE_DONTWAKE, &done);
	munmap(p, v->page_size);
	return r >= 0 ? 1 : r == -EFAULT ? 0 : r;
}

int pagecache_has(struct uffdctl_target *t, const struct uffdctl_vma *v, uint64_t addr)
{
	/* For writing: mincore(2) tells the truth only to those who may write the file. */
	struct search s = { .t = t, .v = v, .mode = O_RDWR };
	uint64_t offset = vma_offset(v, addr);
	int r = open_file(&s);

	if (r < 0)
		return r;
	if (target_is_gone(t))
		r = -ESRCH;
	else
		r = v->page_size > base_page_size() ? holds_huge(s.found, offset, v) : mincore_has(s.found, offset);
	close(s.found);
	return r;
}
