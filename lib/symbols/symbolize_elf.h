/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions and source lines of one ELF file and its debug file. */
#ifndef UFFDCTL_SYMBOLIZE_ELF_H
#define UFFDCTL_SYMBOLIZE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct code;

struct code_place {
	uint64_t vaddr;	      /* address in the file, as addr2line(1) and objdump(1) have it */
	const char *function; /* NULL if not known */
	uint64_t offset;      /* from its beginning */
	const char *file;     /* base name of the source, NULL if not known */
	int line;
};

/*
 * Read the functions of a file.
 * @fd: taken over, also on failure
 * @path: its debug file is searched for beside this path; or NULL
 * @lines: also read source lines
 * @ret: out, close with code_close()
 * -ENOEXEC: no ELF program or library; -ENOMEM.
 */
int code_open(int fd, const char *path, bool lines, struct code **ret);

/* The same for an image in memory: it is taken over on success, and must be aligned for its structures. */
int code_open_image(char *image, size_t size, struct code **ret);
void code_close(struct code *c);

/* Memory that it uses, roughly. */
size_t code_bytes(const struct code *c);

/*
 * Look up an offset in the file.
 * @ret: out, strings are valid until code_close()
 * -ENOENT: it is in no segment.
 */
int code_find(struct code *c, uint64_t file_offset, struct code_place *ret);

#endif
