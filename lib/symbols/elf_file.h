/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening ELF files of a target, and their debug files. */
#ifndef UFFDCTL_ELF_FILE_H
#define UFFDCTL_ELF_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/uffdctl.h"

const char *elf_base_name(const char *path);

/*
 * Open a regular file, or return -1: a path from a target may name a device, or a FIFO that blocks.
 * @flags: O_NOFOLLOW or 0
 */
int elf_open_regular(int dirfd, const char *path, int flags);

/*
 * Open the mapped file, also if it was deleted or is in another mount namespace.
 * @name, @range: of the mapping
 * @file_name: out, a path to look for its debug file beside; may be NULL
 * Returns a descriptor, or -1.
 */
int elf_open_mapped(int procfd, pid_t pid, const char *name, struct uffdctl_range range, char **file_name);

/*
 * libelf's view of a program, a shared library or their debug file; NULL if it is none of them.
 * @by_mmap: only if the file can't be truncated, which would kill us with SIGBUS
 */
struct Elf *elf_begin_file(int fd, bool by_mmap);

/*
 * Open the debug file of an ELF file, from the standard places of dwfl_standard_find_debuginfo(3), which itself would
 * open any kind of file. No file is fetched from a network.
 * @id, @id_len: build-id, if id_len > 0
 * @file: path of the ELF file, or NULL
 * @link, @crc: its .gnu_debuglink, or NULL
 * @ret: in: NULL; out: the path tried last, also after a failure; free with free(); may be NULL
 * Returns a descriptor, or -1.
 */
int elf_open_debug(const unsigned char *id, int id_len, const char *file, const char *link, uint32_t crc, char **ret);

#endif
