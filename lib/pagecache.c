// SPDX-License-Identifier: LGPL-2.1-or-later
/* The second mapping: the file beneath a target's mapping, opened for ourselves. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "log.h"
#include "pagecache.h"
#include "pidfd.h"
#include "proc.h"
#include "uffd.h"
#include "util.h"
#include "vma.h"

static bool same_file(int fd, const struct uffdctl_vma *v)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == v->inode &&
	       major(st.st_dev) == v->dev_major && minor(st.st_dev) == v->dev_minor;
}

struct search {
	struct uffdctl_target *t;
	const struct uffdctl_vma *v;
	bool look; /* O_PATH is enough */
	int mode;  /* O_RDWR or O_RDONLY */
	int err;
	int found;
};

static bool allows(int fd, int mode)
{
	int has = fcntl(fd, F_GETFL) & O_ACCMODE;

	return has == O_RDWR || has == mode;
}

/* Reopened by its name under /proc, or taken over as it is, if it was opened for writing. */
static int try_descriptor(uint32_t n, void *arg)
{
	struct search *s = arg;
	_cleanup_close_ int look = -1, fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "fd/%u", n);
	look = openat(s->t->procfd, path, O_PATH | O_CLOEXEC);
	if (look < 0 || !same_file(look, s->v))
		return 0;
	if (s->look) {
		s->found = steal_fd(look);
		return 1;
	}
	fd = openat(s->t->procfd, path, s->mode | O_CLOEXEC);
	if (fd < 0) {
		s->err = -errno;
		if (pidfd_take_fd(s->t->pid, s->t->pidfd, n, &fd) < 0 || !allows(fd, s->mode))
			return 0;
	}
	if (!same_file(fd, s->v))
		return 0;
	s->found = steal_fd(fd);
	return 1;
}

/* map_files is for the privileged; a descriptor that the process holds serves as well. */
static int open_file(struct search *s)
{
	char path[64];

	snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, s->v->range.start, s->v->range.end);
	s->found = openat(s->t->procfd, path, (s->look ? O_PATH : s->mode) | O_CLOEXEC);
	s->err = -errno;
	if (s->found < 0)
		proc_each_number(s->t->procfd, "fd", try_descriptor, s);
	return s->found < 0 ? s->err : 0;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* Memory without a file: plain, heap, stacks, named by prctl(2); not what the kernel puts in. */
static bool is_anon_name(const char *name)
{
	return !*name || !strcmp(name, "[heap]") || has_prefix(name, "[stack") || has_prefix(name, "[anon:");
}

/* Up to Linux 6.18 an anonymous inode; since then a file system has it that is mounted nowhere. */
static bool is_guest_memfd(const char *name)
{
	return !strcmp(name, "anon_inode:[kvm-gmem]") || !strcmp(name, "/[kvm-gmem] (deleted)");
}

enum vma_kind vma_kind(struct uffdctl_target *t, const struct uffdctl_vma *v)
{
	/* Names that a file in the tree can hardly have. */
	static const char *const shmem_names[] = { "/memfd:", "/dev/zero (deleted)", "/SYSV", "[anon_shmem:" };
	struct search s = { .t = t, .v = v, .look = true };
	enum vma_kind kind = VMA_OTHER;
	struct statfs fs;

	if (v->page_size > base_page_size())
		return VMA_HUGETLB;
	if (!v->inode)
		return is_anon_name(v->name) ? VMA_ANON : VMA_OTHER;
	if (is_guest_memfd(v->name))
		return VMA_GUEST_MEMFD;
	if (open_file(&s) == 0) {
		if (fstatfs(s.found, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
			kind = VMA_SHMEM;
		close(s.found);
		return kind;
	}
	for (size_t i = 0; i < ARRAY_SIZE(shmem_names); i++)
		if (has_prefix(v->name, shmem_names[i]))
			kind = VMA_SHMEM;
	return kind;
}

int pagecache_stat(struct uffdctl_target *t, const struct uffdctl_vma *v, struct stat *ret)
{
	struct search s = { .t = t, .v = v, .look = true };
	int r = open_file(&s);

	if (r < 0)
		return r;
	r = fstat(s.found, ret) < 0 ? -errno : 0;
	close(s.found);
	return r;
}

static int open_for(struct uffdctl_target *t, const struct uffdctl_vma *v, int mode, int *ret)
{
	_cleanup_free_ char *what = vma_describe(v);
	struct search s = { .t = t, .v = v, .mode = mode };
	int r;

	open_file(&s);
	r = target_check(t);
	if (r < 0) {
		cleanup_close(&s.found);
		return r;
	}
	if (s.found < 0 && s.err == -ENXIO)
		return fail(t->u, s.err,
			    "%d: %s: its file can't be opened a second time (ENXIO): needs that the process holds a descriptor of it, and ptrace access (uffdctl copy needs no second mapping)",
			    t->pid, what);
	if (s.found < 0)
		return fail(t->u, s.err,
			    "%d: %s: opening its file a second time: %s (needs CAP_CHECKPOINT_RESTORE, or that the process holds a descriptor of it open for %s)",
			    t->pid, what, strerror(-s.err), mode == O_RDWR ? "writing" : "reading");
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

/* Unlike shmem, hugetlbfs tells it in no other way (mincore(2), SEEK_DATA and cachestat(2) do not see it). */
int pagecache_has_huge(struct uffdctl_target *t, const struct uffdctl_vma *v, uint64_t addr)
{
	_cleanup_close_ int fd = -1, guard = -1;
	struct uffdctl_range own;
	uint64_t done;
	void *p;
	int r = pagecache_open(t, v, &fd);

	if (r >= 0)
		r = uffd_guard(&guard);
	if (r < 0)
		return r;
	p = mmap(NULL, v->page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		 (off_t)(v->offset + (addr - v->range.start)));
	if (p == MAP_FAILED)
		return -errno;
	own = (struct uffdctl_range){ (uintptr_t)p, (uintptr_t)p + v->page_size };
	r = uffd_register(guard, own, UFFDIO_REGISTER_MODE_MINOR, NULL);
	if (r >= 0)
		r = uffd_continue(guard, own, UFFDIO_CONTINUE_MODE_DONTWAKE, &done);
	munmap(p, v->page_size);
	return r >= 0 ? 1 : r == -EFAULT ? 0 : r;
}
