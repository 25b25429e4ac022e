// SPDX-License-Identifier: LGPL-2.1-or-later
/* /tmp/perf-PID.map, in which a just-in-time compiler describes its code. The target controls all of its contents. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/kernel/proc.h"
#include "lib/symbols/elf_file.h"
#include "lib/symbols/perfmap.h"
#include "lib/util.h"

/* Parse a hexadecimal number and the spaces after it, within the line. */
static int hex_field(const char **at, const char *end, uint64_t *ret)
{
	const char *space = memchr(*at, ' ', end - *at);
	int r = space ? parse_hex(*at, space - *at, ret) : -EINVAL;

	if (r < 0)
		return r;
	while (space < end && *space == ' ')
		space++;
	*at = space;
	return 0;
}

/* The rest of the line is the name, including spaces. */
static int parse_line(const char *line, const char *end, struct perfmap_entry *ret, const char **ret_name)
{
	uint64_t start, size, stop;

	if (end > line && end[-1] == '\r')
		end--;
	if (hex_field(&line, end, &start) < 0 || hex_field(&line, end, &size) < 0 || line == end || !size ||
	    __builtin_add_overflow(start, size, &stop))
		return -EINVAL;
	*ret = (struct perfmap_entry){ .start = start, .end = stop, .name_len = end - line };
	*ret_name = line;
	return 0;
}

ssize_t perfmap_add(struct perfmap *m, const char *text, size_t len)
{
	const char *last = len ? memrchr(text, '\n', len) : NULL;
	size_t whole = last ? (size_t)(last - text) + 1 : 0;
	char *grown;

	if (!whole)
		return 0;
	if (m->len + whole > PERFMAP_MAX_BYTES)
		return -EFBIG;
	grown = realloc(m->text, m->len + whole);
	if (!grown)
		return -ENOMEM;
	m->text = grown;
	memcpy(m->text + m->len, text, whole);
	for (const char *at = m->text + m->len, *end = at + whole, *eol; at < end; at = eol + 1) {
		struct perfmap_entry entry, *e;
		const char *name;

		eol = memchr(at, '\n', end - at);
		if (m->nr >= PERFMAP_MAX_ENTRIES || parse_line(at, eol, &entry, &name) < 0)
			continue;
		e = vec_add(m->entries, m->nr, m->alloc);
		if (!e)
			return -ENOMEM;
		*e = entry;
		e->name = name - m->text;
	}
	m->len += whole;
	return whole;
}

const struct perfmap_entry *perfmap_find(const struct perfmap *m, uint64_t addr)
{
	for (size_t i = m->nr; i-- > 0;)
		if (m->entries[i].start <= addr && addr < m->entries[i].end)
			return &m->entries[i];
	return NULL;
}

/*
 * The first or the last number of a line of /proc/PID/status; the last one of NStgid is the PID in the innermost
 * namespace.
 */
static int status_number(const char *status, const char *key, bool last, uint32_t *ret)
{
	const char *p = strstr(status, key);
	unsigned int n = 0;
	int len = 0, found = 0;

	if (!p)
		return -ENOENT;
	for (p += strlen(key); (!found || last) && sscanf(p, "%*[ \t]%u%n", &n, &len) == 1; p += len)
		found++;
	if (!found)
		return -ENOENT;
	*ret = n;
	return 0;
}

static int open_map(int procfd, uint32_t *nspid, struct stat *st)
{
	char status[4096], path[64];
	uint32_t uid;
	int fd;

	if (proc_read(procfd, "status", status, sizeof(status)) < 0 ||
	    status_number(status, "\nUid:", false, &uid) < 0 || status_number(status, "\nNStgid:", true, nspid) < 0)
		return -ENOENT;
	snprintf(path, sizeof(path), "root/tmp/perf-%u.map", *nspid);
	fd = elf_open_regular(procfd, path, O_NOFOLLOW);
	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, st) < 0 || (st->st_uid != uid && st->st_uid != 0)) {
		close(fd);
		return -EACCES;
	}
	return fd;
}

/* Read from where the last read ended to the end, or to the limit. */
static int read_new(struct perfmap *m, int fd, size_t size)
{
	_cleanup_free_ char *buf = malloc(size - m->len);
	size_t have = 0, want = size - m->len;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	while (have < want && (n = pread(fd, buf + have, want - have, m->len + have)) != 0) {
		if (n < 0)
			return -errno;
		have += n;
	}
	n = perfmap_add(m, buf, have);
	return n < 0 ? n : 0;
}

int perfmap_refresh(struct perfmap *m, int procfd, uint32_t *nspid)
{
	struct stat st;
	_cleanup_close_ int fd = open_map(procfd, nspid, &st);
	size_t size;

	if (fd < 0) {
		perfmap_clear(m);
		return fd;
	}
	size = MIN((uint64_t)st.st_size, PERFMAP_MAX_BYTES);
	if (st.st_ino != m->ino || size < m->len)
		perfmap_clear(m);
	m->ino = st.st_ino;
	return size > m->len ? read_new(m, fd, size) : 0;
}

void perfmap_clear(struct perfmap *m)
{
	free(m->text);
	free(m->entries);
	*m = (struct perfmap){};
}

size_t perfmap_bytes(const struct perfmap *m)
{
	return m->len + m->alloc * sizeof(*m->entries);
}
