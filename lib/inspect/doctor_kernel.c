// SPDX-License-Identifier: LGPL-2.1-or-later
/* The doctor: BPF, the backends of watch, and interfaces that newer kernels have. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "lib/inspect/doctor.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/procmap.h"
#include "lib/kernel/uapi.h"

#define SETCAP "setcap cap_bpf,cap_perfmon+ep on this program, or run as root"

/* ---- BPF ---- */

static const char *why_no_bpf(struct uffdctl_doctor *d, int err, const char **ret_remedy)
{
	const struct limits *l = &d->limits;

	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF), or /sys is not mounted";
	if (!limits_have(l, CAP_BPF) || !limits_have(l, CAP_PERFMON)) {
		*ret_remedy = l->init_userns ? SETCAP : "run outside of this user namespace, as root";
		return l->init_userns ? "this process has no CAP_BPF and CAP_PERFMON"
				      : "capabilities of this user namespace do not count for BPF";
	}
	if (l->lockdown)
		return "the kernel is locked down (confidentiality): BPF may not read its memory";
	if (l->seccomp > 0 && (err == -EPERM || err == -ENOSYS || err == -EACCES))
		return doctor_text(d, "a seccomp filter of this process forbids bpf(2) (%s)", strerror(-err));
	return doctor_text(d, "%s", iter_why(err));
}

static void try_backend(struct uffdctl_doctor *d, const char *backend, enum uffdctl_verdict *any)
{
	pid_t self = getpid();
	const struct uffdctl_watch_opts opts = { .size = sizeof(opts), .backend = backend, .pids = &self, .nr_pids = 1 };
	struct uffdctl_watch *w;
	const char *name = doctor_text(d, "watch: backend %s", backend), *why;
	int r;

	r = uffdctl_watch_open(d->u, &opts, &w);
	if (!name)
		return;
	if (r < 0) {
		/* "backend NAME: why" */
		why = strchr(uffdctl_last_error(d->u), ':');
		doctor_add(d, name, 0, UFFDCTL_NO, doctor_text(d, "%s", why ? why + 2 : strerror(-r)), NULL);
		return;
	}
	uffdctl_watch_close(w);
	*any = UFFDCTL_YES;
	doctor_add(d, name, 0, UFFDCTL_YES, "its programs were loaded, attached and taken off again", NULL);
}

static void no_backend(struct uffdctl_doctor *d, const char *why, const char *remedy)
{
	doctor_add(d, "watch", NEED_WATCH, UFFDCTL_NO, why, remedy);
}

void doctor_bpf(struct uffdctl_doctor *d)
{
	static const char *const backends[] = { "tracepoint", "fentry", "kprobe", "sched" };
	enum uffdctl_verdict any = UFFDCTL_NO;
	/* About one process, /proc says enough. */
	unsigned int inspect = d->pid ? 0 : NEED_INSPECT;
	const char *remedy = NULL, *why;
	struct iter *it;
	int r = iter_get(d->u, &it);

	if (r < 0) {
		why = why_no_bpf(d, r, &remedy);
		doctor_add(d, "BPF iterators", inspect, UFFDCTL_NO, why, remedy);
		no_backend(d, why, remedy);
		return;
	}
	doctor_add(d, "BPF iterators", inspect, UFFDCTL_YES, "processes, descriptors, mappings and wait queues", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		try_backend(d, backends[i], &any);
	if (any)
		doctor_add(d, "watch", NEED_WATCH, UFFDCTL_YES, "by the first of these backends", NULL);
	else
		no_backend(d, "no backend is available", NULL);
}

/* ---- interfaces ---- */

static void add_interface(struct uffdctl_doctor *d, const char *name, int err, const char *since, const char *what_for)
{
	if (err >= 0)
		doctor_add(d, name, 0, UFFDCTL_YES, what_for, NULL);
	else if (err == -ENOTTY || err == -ENOSYS || err == -EINVAL)
		doctor_add(d, name, 0, UFFDCTL_NO, doctor_text(d, "%s: needs %s", what_for, since), NULL);
	else
		doctor_add(d, name, 0, UFFDCTL_NO, doctor_text(d, "%s: %s", what_for, strerror(-err)), NULL);
}

static int try_pagemap_scan(const void *page)
{
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct page_region region;
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (uintptr_t)page,
		.end = (uintptr_t)page + base_page_size(),
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_anyof_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};

	return fd < 0 || ioctl(fd, PAGEMAP_SCAN, &arg) < 0 ? -errno : 0;
}

static int try_procmap_query(const void *page)
{
	_cleanup_close_ int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct maps_line line;

	return fd < 0 ? -errno : procmap_query(fd, (uintptr_t)page, NULL, &line, NULL);
}

static int try_map_files(const void *page)
{
	char path[PROC_MAP_FILE_BYTES + sizeof("/proc/self/")], name[PROC_MAP_FILE_BYTES];
	_cleanup_close_ int fd = -1;

	proc_map_file((struct uffdctl_range){ (uintptr_t)page, (uintptr_t)page + base_page_size() }, name);
	snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static void map_files(struct uffdctl_doctor *d, int err)
{
	bool denied = err == -EPERM || err == -EACCES;

	if (err >= 0)
		doctor_add(d, "map_files", 0, UFFDCTL_YES, "files behind mappings, for --from", NULL);
	else
		doctor_add(d, "map_files", 0, UFFDCTL_NO,
			   denied ? "this process has no CAP_CHECKPOINT_RESTORE: --from needs a descriptor of the target for the file"
				  : doctor_text(d, "%s", strerror(-err)),
			   denied ? "setcap cap_checkpoint_restore+ep on this program, or run as root" : NULL);
}

static int try_cachestat(int fd)
{
	struct {
		uint64_t off, len;
	} range = { 0, 4096 };
	uint64_t result[5];

	return syscall(451, fd, &range, result, 0) < 0 ? -errno : 0; /* __NR_cachestat, on all architectures */
}

/* Enough to try it. */
#define SOME_KIB (128ul * 1024)

static void huge_pages_of(struct uffdctl_doctor *d, int dir, const char *name)
{
	char path[300], total[32], free_pages[32];
	unsigned long kib;

	if (sscanf(name, "hugepages-%lukB", &kib) != 1)
		return;
	snprintf(path, sizeof(path), "%s/nr_hugepages", name);
	if (proc_read(dir, path, total, sizeof(total)) < 0)
		return;
	snprintf(path, sizeof(path), "%s/free_hugepages", name);
	if (proc_read(dir, path, free_pages, sizeof(free_pages)) < 0)
		return;
	doctor_add(d, doctor_text(d, "huge pages of %lu KiB", kib), 0, atol(total) ? UFFDCTL_YES : UFFDCTL_NO,
		   doctor_text(d, "%ld, %ld of them free", atol(total), atol(free_pages)),
		   atol(total) ? NULL
			       : doctor_text(d, "echo %lu >/sys/kernel/mm/hugepages/%s/nr_hugepages",
					     MAX(SOME_KIB / kib, 1ul), name));
}

static void huge_pages(struct uffdctl_doctor *d)
{
	DIR *dir = opendir("/sys/kernel/mm/hugepages");
	const struct dirent *e;

	while (dir && (e = readdir(dir)))
		huge_pages_of(d, dirfd(dir), e->d_name);
	if (dir)
		closedir(dir);
}

void doctor_kernel(struct uffdctl_doctor *d)
{
	_cleanup_close_ int fd = memfd_create("uffdctl-doctor", MFD_CLOEXEC);
	uint8_t *page = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)base_page_size()) == 0)
		page = mmap(NULL, base_page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED) {
		page[0] = 1;
		add_interface(d, "PAGEMAP_SCAN", try_pagemap_scan(page), "Linux 6.7", "page states of huge ranges");
		add_interface(d, "PROCMAP_QUERY", try_procmap_query(page), "Linux 6.11",
			      "one mapping without reading all");
		add_interface(d, "cachestat(2)", try_cachestat(fd), "Linux 6.5", "pages of a file that are cached");
		map_files(d, try_map_files(page));
		munmap(page, base_page_size());
	}
	huge_pages(d);
}
