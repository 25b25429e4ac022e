/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of proc(5), read and parsed. The target controls a part of their contents. */
#ifndef UFFDCTL_PROC_H
#define UFFDCTL_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "lib/uffdctl.h"

/* A line of /proc/PID/maps, which also opens each mapping in smaps. name points into the line. */
struct maps_line {
	struct uffdctl_range range;
	char perms[5];
	uint64_t offset;
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	char *name;
};

/* -EINVAL: another kind of line. The line is changed: its newline is removed. */
int maps_line_parse(char *line, struct maps_line *ret);

/*
 * Call fn for each line of /proc/PID/maps. fn returns 0 to go on; anything else ends the walk and is returned.
 * @fd: descriptor of the file, closed in any case; a negative errno is returned unchanged
 * -EPROTO: not such a file.
 */
int proc_each_mapping(int fd, int (*fn)(const struct maps_line *l, void *arg), void *arg);

/* "Key:   N kB" of smaps: the index of the key, or -1; *ret in bytes. */
int smaps_size_parse(const char *line, uint64_t *ret);
#define SMAPS_NR_SIZES 17
#define SMAPS_KERNEL_PAGE_SIZE SMAPS_NR_SIZES

/* "VmFlags: rd wr …": the mnemonics with single spaces and none at the end, or NULL. The line is changed. */
char *smaps_flags_parse(char *line);

/* What fdinfo says about a userfaultfd. */
struct uffd_fdinfo {
	uint64_t pending, total;
	bool handshake; /* UFFDIO_API was issued */
	uint64_t features;
};

/* -EINVAL: the fdinfo of something else. */
int fdinfo_parse(const char *text, struct uffd_fdinfo *ret);

/* include/linux/sched.h */
#define PF_FORKNOEXEC 0x00000040
#define PF_KTHREAD 0x00200000

struct proc_stat {
	char comm[16];
	char state;
	uint32_t flags; /* PF_* */
};

int stat_parse(const char *text, struct proc_stat *ret);

/* Read a small file under dirfd, NUL-terminated; cut off at size - 1. -errno of openat(2) or read(2). */
int proc_read(int dirfd, const char *path, char *buf, size_t size);

/* -EXDEV: the mounted /proc belongs to another pid namespace than ours. */
int proc_check_namespace(void);

/* /proc/PID of a process, as a descriptor. */
int proc_open_dir(pid_t pid, int *ret);

/*
 * The same, but one that shows memory and descriptors: if the first thread of a process has ended before the others,
 * that of a living thread, with its ID. For a process that has ended, its own.
 */
int proc_open_live(pid_t pid, int *ret, pid_t *ret_tid);
bool proc_lives(int procfd);

/* The process that a thread belongs to; 0: not known. */
pid_t proc_tgid(int procfd);

/* Call fn for each name in a directory that is a number; fn returns 0 to go on. */
int proc_each_number(int dirfd, const char *path, int (*fn)(uint32_t n, void *arg), void *arg);

/* The stack pointer of a thread that waits in a system call or a page fault; 0: it does not wait, or not known. */
uint64_t proc_stack_pointer(int procfd, uint32_t tid);

/* The name of the mapping's file under /proc/PID. */
#define PROC_MAP_FILE_BYTES 64
void proc_map_file(struct uffdctl_range range, char *buf);

/* Is dirfd/path (fd/N) a userfaultfd? */
bool proc_is_uffd(int dirfd, const char *path);

#endif
