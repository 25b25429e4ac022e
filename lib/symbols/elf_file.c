// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Opening ELF files of a target, and their debug files. The target may make them arbitrarily large and wrong, change
 * them meanwhile, and have them on a file system that does not answer: see child.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include <elfutils/libdwelf.h>
#include <gelf.h>

#include "lib/cleanup.h"
#include "lib/symbols/elf_file.h"
#include "lib/util.h"

#define SMALL_MAX_BYTES (UINT64_C(1) << 20)

/* e_ident, e_type and e_machine are at the same place in both. */
union elf_header {
	Elf32_Ehdr e32;
	Elf64_Ehdr e64;
};

const char *elf_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int elf_open_regular(int dirfd, const char *path, int flags)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_PATH | O_CLOEXEC | flags);
	char self[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return open(self, O_RDONLY | O_CLOEXEC);
}

/* For section numbers beyond the header (SHN_XINDEX), libelf allocates by a number that the target controls. */
static bool is_sound(const union elf_header *h)
{
	if (memcmp(h->e64.e_ident, ELFMAG, SELFMAG) ||
	    h->e64.e_ident[EI_DATA] != ELFDATA2LSB + (BYTE_ORDER == BIG_ENDIAN) ||
	    (h->e64.e_type != ET_EXEC && h->e64.e_type != ET_DYN))
		return false;
	if (h->e64.e_ident[EI_CLASS] == ELFCLASS64)
		return (h->e64.e_shnum || !h->e64.e_shoff) && h->e64.e_phnum < PN_XNUM;
	return (h->e32.e_shnum || !h->e32.e_shoff) && h->e32.e_phnum < PN_XNUM;
}

/* Are the sections small that libelf reads as a whole for the build-id, the debug link or the name of a section? */
static bool is_modest(Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	GElf_Phdr ph;
	size_t nr, names;

	if (elf_getphdrnum(elf, &nr) < 0 || elf_getshdrstrndx(elf, &names) < 0)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (!gelf_getphdr(elf, (int)i, &ph) || (ph.p_type == PT_NOTE && ph.p_filesz > SMALL_MAX_BYTES))
			return false;
	scn = elf_getscn(elf, names);
	if (scn && (!gelf_getshdr(scn, &shdr) || shdr.sh_size > SMALL_MAX_BYTES || shdr.sh_flags & SHF_COMPRESSED))
		return false;
	for (scn = NULL; (scn = elf_nextscn(elf, scn));) {
		const char *name = gelf_getshdr(scn, &shdr) ? elf_strptr(elf, names, shdr.sh_name) : NULL;

		if ((shdr.sh_type == SHT_NOTE || (name && !strcmp(name, ".gnu_debuglink"))) &&
		    shdr.sh_size > SMALL_MAX_BYTES)
			return false;
	}
	return true;
}

Elf *elf_begin_file(int fd, bool by_mmap)
{
	union elf_header h = {};
	Elf *elf;

	elf_version(EV_CURRENT);
	if (pread(fd, &h, sizeof(h), 0) < (ssize_t)sizeof(h.e32) || !is_sound(&h))
		return NULL;
	elf = elf_begin(fd, by_mmap ? ELF_C_READ_MMAP : ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !is_modest(elf)) {
		elf_end(elf);
		return NULL;
	}
	return elf;
}

int elf_open_mapped(int procfd, pid_t pid, const char *name, struct uffdctl_range range, char **file_name)
{
	_cleanup_free_ char *rooted = NULL;
	struct stat st, here;
	char path[64];
	int fd;

	if (asprintf(&rooted, "root%s", name) < 0)
		return -1;
	snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, range.start, range.end);
	fd = elf_open_regular(procfd, path, 0);
	if (fd < 0)
		fd = elf_open_regular(procfd, rooted, 0);
	if (fd < 0)
		return -1;
	/* The debug file is searched for beside this path and under /usr/lib/debug. */
	if (fstat(fd, &st) == 0 && stat(name, &here) == 0 && st.st_ino == here.st_ino && st.st_dev == here.st_dev)
		*file_name = strdup(name);
	else if (asprintf(file_name, "/proc/%d/%s", pid, rooted) < 0)
		*file_name = NULL;
	return fd;
}

/* ---- debug files ---- */

#define CRC_MAX_BYTES (INT64_C(2) << 30) /* a target may make a file as long as it likes */

/* The CRC of .gnu_debuglink: that of zlib and IEEE 802.3. */
static int file_crc(int fd, uint32_t *ret)
{
	uint32_t table[256], crc = ~0u;
	uint8_t buf[65536];
	struct stat st;
	off_t at = 0;
	ssize_t n = 0;

	if (fstat(fd, &st) < 0 || st.st_size > CRC_MAX_BYTES)
		return -EFBIG;
	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	for (; at < st.st_size && (n = pread(fd, buf, sizeof(buf), at)) > 0; at += n)
		for (ssize_t i = 0; i < n; i++)
			crc = table[(crc ^ buf[i]) & 0xff] ^ crc >> 8;
	if (n < 0)
		return -errno;
	*ret = ~crc;
	return 0;
}

/* Open the file if it is the right one: compare the build-id if there is one, otherwise the CRC. */
static int try_debug_file(const char *path, const unsigned char *id, int id_len, GElf_Word want_crc)
{
	_cleanup_close_ int fd = elf_open_regular(AT_FDCWD, path, 0);
	const void *found;
	uint32_t crc;
	bool same;
	Elf *elf;

	if (fd < 0)
		return -1;
	if (id_len <= 0)
		return file_crc(fd, &crc) == 0 && crc == want_crc ? steal_fd(fd) : -1;
	elf = elf_begin_file(fd, false);
	same = elf && dwelf_elf_gnu_build_id(elf, &found) == id_len && !memcmp(found, id, id_len);
	elf_end(elf);
	return same ? steal_fd(fd) : -1;
}

static char *build_id_path(const unsigned char *id, int len)
{
	char *path = NULL;
	size_t size;
	FILE *f = open_memstream(&path, &size);

	if (!f)
		return NULL;
	fprintf(f, "/usr/lib/debug/.build-id/%02x/", id[0]);
	for (int i = 1; i < len; i++)
		fprintf(f, "%02x", id[i]);
	fputs(".debug", f);
	return fclose(f) ? free(path), NULL : path;
}

int elf_open_debug(const unsigned char *id, int id_len, const char *file, const char *link, uint32_t crc, char **ret)
{
	static const char *const formats[] = { "%.*s%s", "%.*s.debug/%s", "/usr/lib/debug%.*s%s" };
	int dir_len = file ? (int)(elf_base_name(file) - file) : 0;
	int fd = -1;

	if (id_len > 1) {
		*ret = build_id_path(id, id_len);
		fd = *ret ? try_debug_file(*ret, id, id_len, 0) : -1;
	}
	if (!link || strchr(link, '/') || !file)
		return fd;
	for (size_t i = 0; fd < 0 && i < ARRAY_SIZE(formats); i++) {
		free(*ret);
		if (asprintf(ret, formats[i], dir_len, file, link) < 0)
			*ret = NULL;
		fd = *ret ? try_debug_file(*ret, id, id_len, crc) : -1;
	}
	return fd;
}
