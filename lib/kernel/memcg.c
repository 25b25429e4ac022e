// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory cgroups: at the limit of one, the kernel kills one of its processes. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/kernel/memcg.h"
#include "lib/kernel/proc.h"
#include "lib/util.h"

static const struct version {
	int number;
	const char *fs, *limit, *usage, *cache[2];
	const char *swap_limit, *swap_usage; /* v1: of memory and swap together */
} versions[] = {
	{ 1,
	  "cgroup",
	  "memory.limit_in_bytes",
	  "memory.usage_in_bytes",
	  { "total_inactive_file", "total_active_file" },
	  "memory.memsw.limit_in_bytes",
	  "memory.memsw.usage_in_bytes" },
	{ 2,
	  "cgroup2",
	  "memory.max",
	  "memory.current",
	  { "inactive_file", "active_file" },
	  "memory.swap.max",
	  "memory.swap.current" },
};

static bool lists_memory(const char *controllers)
{
	const char *p = strstr(controllers, "memory");

	return p && (p == controllers || p[-1] == ',') && (p[6] == ',' || !p[6]);
}

/* A line is "hierarchy:controllers:path"; that of v2 begins with "0::". */
char *memcg_path(const char *text, int version)
{
	_cleanup_free_ char *copy = strdup(text);
	char *next, *path, *controllers;

	for (char *line = copy; line && *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = '\0';
		controllers = strchr(line, ':');
		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = '\0';
		*controllers++ = '\0';
		if (version == 2 ? !strcmp(line, "0") && !*controllers : lists_memory(controllers))
			return strdup(path);
	}
	return NULL;
}

/* Where a hierarchy with the memory controller is mounted. */
static char *mount_point(const struct version *v)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	struct mntent m;
	char buf[8192], *ret = NULL;

	while (f && !ret && getmntent_r(f, &m, buf, sizeof(buf)))
		if (!strcmp(m.mnt_type, v->fs) && (v->number == 2 || hasmntopt(&m, "memory")))
			ret = strdup(m.mnt_dir);
	if (f)
		endmntent(f);
	return ret;
}

/* The line that begins with a word. */
static char *find_line(char *text, const char *word)
{
	size_t len = strlen(word);

	while (strncmp(text, word, len) || !strchr(": ", text[len])) {
		text = strchr(text, '\n');
		if (!text)
			return NULL;
		text++;
	}
	return text + len;
}

/* "KEY NUMBER" of a file with many, or the only number ("max": none); MEMCG_UNKNOWN. */
static uint64_t read_number(int dir, const char *name, const char *key)
{
	char text[16384], *p, *end;
	uint64_t n;

	if (proc_read(dir, name, text, sizeof(text)) < 0)
		return MEMCG_UNKNOWN;
	p = key ? find_line(text, key) : text;
	if (!p)
		return MEMCG_UNKNOWN;
	p += strspn(p, ": ");
	errno = 0;
	n = strtoull(p, &end, 10);
	return end == p || errno ? MEMCG_UNKNOWN : n;
}

static uint64_t or_zero(uint64_t n)
{
	return n == MEMCG_UNKNOWN ? 0 : n;
}

/* @cache: what the kernel can drop of the usage */
static uint64_t left(int dir, const char *limit_name, const char *usage_name, uint64_t cache)
{
	uint64_t limit = read_number(dir, limit_name, NULL), usage = read_number(dir, usage_name, NULL);

	if (limit == MEMCG_UNKNOWN || usage == MEMCG_UNKNOWN)
		return MEMCG_UNKNOWN;
	usage -= MIN(usage, cache);
	return limit - MIN(limit, usage);
}

static uint64_t room_of(int dir, const struct version *v, uint64_t free_swap)
{
	uint64_t cache = 0, room, swap;

	for (size_t i = 0; i < ARRAY_SIZE(v->cache); i++)
		cache += or_zero(read_number(dir, "memory.stat", v->cache[i]));
	room = left(dir, v->limit, v->usage, cache);
	if (room == MEMCG_UNKNOWN)
		return room;
	swap = v->number == 2 ? MIN(free_swap, left(dir, v->swap_limit, v->swap_usage, 0)) : free_swap;
	room += MIN(swap, MEMCG_UNKNOWN - 1 - room);
	return v->number == 1 ? MIN(room, left(dir, v->swap_limit, v->swap_usage, cache)) : room;
}

uint64_t memcg_room_of(int dir, int version, uint64_t free_swap)
{
	return room_of(dir, &versions[version - 1], free_swap);
}

/* The minimum over a cgroup and those above it, up to the mount point. */
static uint64_t room_upwards(const char *mount, char *path, const struct version *v, uint64_t free_swap)
{
	uint64_t room = MEMCG_UNKNOWN;
	char *slash = path;

	while (slash) {
		_cleanup_free_ char *name = NULL;
		_cleanup_close_ int dir = -1;

		if (asprintf(&name, "%s%s", mount, path) < 0) {
			name = NULL;
			return room;
		}
		dir = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0)
			room = MIN(room, room_of(dir, v, free_swap));
		slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
	}
	return room;
}

uint64_t memcg_room(int procfd)
{
	char text[8192];
	uint64_t room = MEMCG_UNKNOWN, swap;
	int root;

	if (proc_read(procfd, "cgroup", text, sizeof(text)) < 0)
		return room;
	root = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	swap = root < 0 ? 0 : or_zero(read_number(root, "meminfo", "SwapFree")) * 1024;
	cleanup_close(&root);
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		_cleanup_free_ char *path = memcg_path(text, versions[i].number);
		_cleanup_free_ char *mount = path ? mount_point(&versions[i]) : NULL;

		/* Outside of our cgroup namespace: it can't be found by name. */
		if (mount && strncmp(path, "/..", 3))
			room = MIN(room, room_upwards(mount, path, &versions[i], swap));
	}
	return room;
}
