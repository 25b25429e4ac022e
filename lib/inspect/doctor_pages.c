// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state of pages and mappings: each interface is used on ourselves. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/inspect/doctor_check.h"
#include "lib/kernel/cachestat.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/procmap.h"

/* A file of /proc, or a call on it, that failed on ourselves. */
static struct finding why_own(struct uffdctl_doctor *d, const char *what, int err, const char *absent)
{
	if (err == -ENOTTY || err == -ENOSYS)
		return found_no(UFFDCTL_LAYER_KERNEL, absent, NULL);
	if (err == -ENOENT)
		return found_no(UFFDCTL_LAYER_KERNEL | UFFDCTL_LAYER_SETUP,
				doctor_text(d, "%s: %s", what, strerror(-err)), NULL);
	if (err == -EPERM || err == -EACCES)
		return found_no(UFFDCTL_LAYER_LSM | UFFDCTL_LAYER_SETUP | UFFDCTL_LAYER_SECCOMP,
				doctor_text(d, "%s: %s; by which layer is not known", what, strerror(-err)), NULL);
	return found_no(UFFDCTL_LAYER_RESOURCE, doctor_text(d, "%s: %s", what, strerror(-err)), NULL);
}

/* On an ordinary process: a program with capabilities of its own may not open its own. */
static const struct ordinary_access *ordinary(const struct uffdctl_doctor *d)
{
	return d->ordinary[ORDINARY_UNRELATED].err ? NULL : &d->ordinary[ORDINARY_UNRELATED].access;
}

struct finding check_pagemap(struct uffdctl_doctor *d)
{
	const struct ordinary_access *a = ordinary(d);

	if (!a)
		return found_unknown(UFFDCTL_LAYER_RESOURCE, "no process to try it on can be made");
	if (a->pagemap)
		return why_own(d, "/proc/PID/pagemap", a->pagemap,
			       "the kernel has no pagemap (CONFIG_PROC_PAGE_MONITOR)");
	return found_yes(d->own.caps >> CAP_SYS_ADMIN & 1 && d->own.other_user_ns != 1
				 ? "/proc/PID/pagemap, with swap entries"
				 : "/proc/PID/pagemap, without swap entries (these need CAP_SYS_ADMIN)");
}

struct finding check_pagemap_scan(struct uffdctl_doctor *d)
{
	const struct ordinary_access *a = ordinary(d);

	if (!a)
		return found_unknown(UFFDCTL_LAYER_RESOURCE, "no process to try it on can be made");
	if (a->scan)
		return why_own(d, "PAGEMAP_SCAN", a->scan,
			       "the kernel has no PAGEMAP_SCAN (/proc/PID/pagemap is read instead)");
	return found_yes("marks of huge pages, too");
}

struct finding check_own_pagemap(struct uffdctl_doctor *d)
{
	_cleanup_close_ int fd = -1;
	int r = pagemap_open_own(&fd);

	if (r == -EACCES && d->own.caps && geteuid())
		return why_cap(d, UINT64_C(1) << CAP_DAC_READ_SEARCH,
			       "/proc/self/pagemap of a program with capabilities of its own", UFFDCTL_LAYER_FILE);
	return r < 0 ? why_own(d, "/proc/self/pagemap", r, "the kernel has no pagemap (CONFIG_PROC_PAGE_MONITOR)")
		     : found_yes("/proc/self/pagemap");
}

struct finding check_procmap_query(struct uffdctl_doctor *d)
{
	_cleanup_close_ int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct maps_line line;
	int r = fd < 0 ? -errno : procmap_query(fd, (uintptr_t)&line, NULL, &line, NULL);

	return r < 0 ? why_own(d, "PROCMAP_QUERY", r,
			       "the kernel has no PROCMAP_QUERY (/proc/PID/maps is read instead)")
		     : found_yes("a mapping is looked up without reading all");
}

struct finding check_cachestat(struct uffdctl_doctor *d)
{
	struct finding f;
	int r;

	if (why_seccomp(d, REACH_CACHESTAT, &f) || why_seccomp(d, REACH_MEMFD_CREATE, &f))
		return f;
	r = cachestat_try();
	return r < 0 ? why_own(d, "cachestat(2)", r, "the kernel has no cachestat(2)")
		     : found_yes("pages in the page cache are counted");
}

static int open_map_file(void)
{
	_cleanup_close_ int fd = memfd_create("uffdctl-doctor", MFD_CLOEXEC), file = -1;
	size_t page = base_page_size();
	char path[PROC_MAP_FILE_BYTES], full[PROC_MAP_FILE_BYTES + 16];
	void *p;
	int r = fd < 0 || ftruncate(fd, (off_t)page) < 0 ? -errno : 0;

	if (r < 0)
		return r;
	p = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	proc_map_file((struct uffdctl_range){ (uintptr_t)p, (uintptr_t)p + page }, path);
	snprintf(full, sizeof(full), "/proc/self/%s", path);
	file = open(full, O_RDWR | O_CLOEXEC);
	r = file < 0 ? -errno : 0;
	munmap(p, page);
	return r;
}

struct finding check_map_files(struct uffdctl_doctor *d)
{
	struct finding f;
	int r;

	if (why_seccomp(d, REACH_MEMFD_CREATE, &f))
		return f;
	r = open_map_file();
	if (r == -EPERM || r == -EACCES)
		return why_cap(d, UINT64_C(1) << CAP_CHECKPOINT_RESTORE, "/proc/PID/map_files", 0);
	return r < 0 ? why_own(d, "/proc/self/map_files", r, "the kernel has no /proc/PID/map_files")
		     : found_yes("files are opened by their mapping");
}
