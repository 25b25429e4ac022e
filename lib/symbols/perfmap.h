/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /tmp/perf-PID.map, in which a just-in-time compiler describes its code. The target controls all of its contents. */
#ifndef UFFDCTL_PERFMAP_H
#define UFFDCTL_PERFMAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PERFMAP_MAX_BYTES (UINT64_C(32) << 20)
#define PERFMAP_MAX_ENTRIES (1 << 20)

struct perfmap_entry {
	uint64_t start, end;
	uint32_t name, name_len; /* in text */
};

struct perfmap {
	char *text; /* bytes of the file that were read, up to the last whole line */
	size_t len;
	struct perfmap_entry *entries; /* in order of the file */
	size_t nr, alloc;
	ino_t ino;
};

/*
 * Add more of the file: parse its lines "START SIZE NAME", and skip others.
 * @text: any bytes; if the last line is incomplete, pass it again next time
 * Returns how many bytes were used; -EFBIG, -ENOMEM.
 */
ssize_t perfmap_add(struct perfmap *m, const char *text, size_t len);

/* The name from the last line for this address, since code is overwritten; NULL if there is none. */
const struct perfmap_entry *perfmap_find(const struct perfmap *m, uint64_t addr);

/*
 * Read what is new in the file of a process.
 * @procfd: its /proc/PID
 * @nspid: out, its PID in its own namespace
 * 0; -ENOENT: there is no such regular file; -EACCES: it belongs neither to the process's user nor to root; -ENOMEM;
 * -errno of pread(2).
 */
int perfmap_refresh(struct perfmap *m, int procfd, uint32_t *nspid);

void perfmap_clear(struct perfmap *m);
size_t perfmap_bytes(const struct perfmap *m);

#endif
