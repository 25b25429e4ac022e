/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /tmp/perf-PID.map, in which a just-in-time compiler says what its code is. All of it is the target's choice. */
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
	char *text; /* what was read of the file, up to the last whole line */
	size_t len;
	struct perfmap_entry *entries; /* in order of the file */
	size_t nr, alloc;
	ino_t ino;
};

/*
 * Take over more of the file, and read the lines "START SIZE NAME" in it; others are passed over.
 * @text: any bytes, the last line may be incomplete: give it again then
 * Returns how many bytes were used; -EFBIG, -ENOMEM.
 */
ssize_t perfmap_add(struct perfmap *m, const char *text, size_t len);

/* What the last line for this address says, since code is written over; NULL if there is none. */
const struct perfmap_entry *perfmap_find(const struct perfmap *m, uint64_t addr);

/*
 * Read what is new in the file of a process.
 * @procfd: its /proc/PID
 * @nspid: out, its PID as it knows itself
 * 0; -ENOENT: there is none; -EACCES: is not the process's own nor root's, or no regular file; -ENOMEM.
 */
int perfmap_refresh(struct perfmap *m, int procfd, uint32_t *nspid);

void perfmap_clear(struct perfmap *m);
size_t perfmap_bytes(const struct perfmap *m);

#endif
