// SPDX-License-Identifier: LGPL-2.1-or-later
/* The kind of memory of a mapping, found without accessing its file. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/cleanup.h"
#include "lib/kernel/memory.h"
#include "lib/util.h"
#include "lib/vma.h"

struct device {
	uint32_t dev_major, dev_minor;
	enum uffdctl_memory memory;
};

struct devices {
	struct device *devices;
	size_t nr, alloc;
	bool mounts_read;
	int procfd;
};

static struct device *find_device(const struct devices *d, uint32_t dev_major, uint32_t dev_minor)
{
	for (size_t i = 0; i < d->nr; i++)
		if (d->devices[i].dev_major == dev_major && d->devices[i].dev_minor == dev_minor)
			return &d->devices[i];
	return NULL;
}

static void add_device(struct devices *d, uint32_t dev_major, uint32_t dev_minor, enum uffdctl_memory memory)
{
	struct device *added = find_device(d, dev_major, dev_minor) ? NULL : vec_add(d->devices, d->nr, d->alloc);

	if (added)
		*added = (struct device){ dev_major, dev_minor, memory };
}

/* The kernel's internal tmpfs, for memfds and for shared memory without a file, is mounted nowhere. */
static void add_own_shmem(struct devices *d)
{
	_cleanup_close_ int fd = memfd_create("uffdctl-probe", MFD_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0)
		add_device(d, major(st.st_dev), minor(st.st_dev), UFFDCTL_MEMORY_SHMEM);
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" (proc_pid_mountinfo(5)) */
int mountinfo_parse(char *line, uint32_t *dev_major, uint32_t *dev_minor, const char **ret_type)
{
	char *type = strstr(line, " - ");

	if (!type || sscanf(line, "%*u %*u %u:%u ", dev_major, dev_minor) != 2)
		return -EINVAL;
	type += 3;
	type[strcspn(type, " \n")] = '\0';
	*ret_type = type;
	return 0;
}

static void read_mounts(struct devices *d, int dirfd, const char *path)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	uint32_t dev_major, dev_minor;
	const char *type;
	size_t size = 0;

	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		cleanup_close(&fd);
		return;
	}
	while (getline(&line, &size, f) > 0)
		if (mountinfo_parse(line, &dev_major, &dev_minor, &type) == 0)
			add_device(d, dev_major, dev_minor,
				   strcmp(type, "tmpfs") ? UFFDCTL_MEMORY_OTHER : UFFDCTL_MEMORY_SHMEM);
}

static enum uffdctl_memory memory_of_device(struct devices *d, uint32_t dev_major, uint32_t dev_minor)
{
	const struct device *found = find_device(d, dev_major, dev_minor);

	if (!found && !d->mounts_read) {
		d->mounts_read = true;
		read_mounts(d, d->procfd, "mountinfo");
		read_mounts(d, AT_FDCWD, "/proc/self/mountinfo");
		read_mounts(d, AT_FDCWD, "/proc/1/mountinfo");
		found = find_device(d, dev_major, dev_minor);
	}
	return found ? found->memory : UFFDCTL_MEMORY_UNKNOWN;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

#define GUEST_MEMFD_MAGIC 0x474d454d /* include/uapi/linux/magic.h of Linux 6.19 */

enum uffdctl_memory memory_of_event(const struct ev_vma *ev)
{
	if (ev->vm_flags & VM_HUGETLB)
		return UFFDCTL_MEMORY_HUGETLB;
	/* vma_is_anonymous(): also a private mapping of /dev/zero. */
	if (!ev->vm_ops)
		return UFFDCTL_MEMORY_ANON;
	if (ev->fs_magic == GUEST_MEMFD_MAGIC)
		return UFFDCTL_MEMORY_GUEST_MEMFD;
	/* Up to Linux 6.18, guest_memfd is among these: its name decides, see find_memory(). */
	if (ev->fs_magic == ANON_INODE_FS_MAGIC)
		return UFFDCTL_MEMORY_UNKNOWN;
	/* Device nodes are on tmpfs, too. */
	return ev->fs_magic == TMPFS_MAGIC && S_ISREG(ev->mode) ? UFFDCTL_MEMORY_SHMEM : UFFDCTL_MEMORY_OTHER;
}

/* Memory without a file: plain, heap, stacks, named with prctl(2); not the kernel's own mappings. */
static bool is_anon_name(const char *name)
{
	return !*name || !strcmp(name, "[heap]") || has_prefix(name, "[stack") || has_prefix(name, "[anon:");
}

static bool has_flag(const struct uffdctl_vma *v, const char *flag)
{
	return v->vm_flags && strstr(v->vm_flags, flag);
}

static enum uffdctl_memory find_memory(struct devices *d, const struct uffdctl_vma *v)
{
	enum uffdctl_memory memory;

	if (has_flag(v, "ht") || (!v->vm_flags && v->page_size > base_page_size()))
		return UFFDCTL_MEMORY_HUGETLB;
	if (!v->inode)
		return is_anon_name(v->name) ? UFFDCTL_MEMORY_ANON : UFFDCTL_MEMORY_OTHER;
	/* The name of a guest_memfd up to Linux 6.18. A path would begin with a slash. */
	if (!strcmp(v->name, "anon_inode:[kvm-gmem]"))
		return UFFDCTL_MEMORY_GUEST_MEMFD;
	if (*v->name != '/' && !has_prefix(v->name, "[anon_shmem:"))
		return UFFDCTL_MEMORY_OTHER;
	if (!strcmp(v->name, "/dev/zero") && !vma_is_shared(v))
		return UFFDCTL_MEMORY_ANON;
	memory = memory_of_device(d, v->dev_major, v->dev_minor);
	/* Memory of a device, whose node may be on a tmpfs. */
	return memory == UFFDCTL_MEMORY_SHMEM && (has_flag(v, "pf") || has_flag(v, "io")) ? UFFDCTL_MEMORY_OTHER
											  : memory;
}

/* Memory of shmget(2) has operations of its own, which userfaultfd does not know. */
static bool is_sysv(const struct devices *d, const struct uffdctl_vma *v)
{
	return d->nr && d->devices[0].dev_major == v->dev_major && d->devices[0].dev_minor == v->dev_minor &&
	       has_prefix(v->name, "/SYSV");
}

void memory_find(int procfd, struct uffdctl_vma *vmas, size_t nr)
{
	struct devices d = { .procfd = procfd };

	for (size_t i = 0; i < nr; i++) {
		if (!vmas[i].name)
			continue;
		if (!d.nr)
			add_own_shmem(&d);
		if (vmas[i].memory == UFFDCTL_MEMORY_UNKNOWN)
			vmas[i].memory = find_memory(&d, &vmas[i]);
		if (vmas[i].memory == UFFDCTL_MEMORY_SHMEM && is_sysv(&d, &vmas[i]))
			vmas[i].memory = UFFDCTL_MEMORY_OTHER;
	}
	free(d.devices);
}
