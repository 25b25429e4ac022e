// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names of modes, features, ioctls and kinds of faults, as the kernel has them, and names of accesses, states and
 * ends.
 */
#include <errno.h>
#include <string.h>

#include "bpf/event.h"
#include "lib/context.h"
#include "lib/kernel/names.h"
#include "lib/kernel/uapi.h"
#include "lib/util.h"

static const char *const mode_names[] = { "missing", "wp", "minor", "rwp" };
static const char *const mode_flags[] = { "um", "uw", "ui", "ur" };

_Static_assert(ARRAY_SIZE(mode_names) == NR_MODES && ARRAY_SIZE(mode_flags) == NR_MODES, "a name for each mode");

/* include/uapi/linux/userfaultfd.h, by bit. */
static const char *const feature_names[] = {
	"pagefault_flag_wp",
	"event_fork",
	"event_remap",
	"event_remove",
	"missing_hugetlbfs",
	"missing_shmem",
	"event_unmap",
	"sigbus",
	"thread_id",
	"minor_hugetlbfs",
	"minor_shmem",
	"exact_address",
	"wp_hugetlbfs_shmem",
	"wp_unpopulated",
	"poison",
	"wp_async",
	"move",
	"rwp",
	"rwp_async",
};

static const char *const ioctl_names[] = {
	[_UFFDIO_REGISTER] = "register",
	[_UFFDIO_UNREGISTER] = "unregister",
	[_UFFDIO_WAKE] = "wake",
	[_UFFDIO_COPY] = "copy",
	[_UFFDIO_ZEROPAGE] = "zeropage",
	[0x05] = "move",
	[_UFFDIO_WRITEPROTECT] = "writeprotect",
	[_UFFDIO_CONTINUE] = "continue",
	[0x08] = "poison",
	[0x09] = "rwprotect",
	[0x0a] = "set_mode",
	[_UFFDIO_API] = "api",
};

static const char *const kind_names[] = {
	[UFFDCTL_KIND_MINOR] = "minor",	  [UFFDCTL_KIND_MISSING] = "missing", [UFFDCTL_KIND_WP] = "wp",
	[UFFDCTL_KIND_RWP] = "rwp",	  [UFFDCTL_KIND_FORK] = "fork",	      [UFFDCTL_KIND_REMAP] = "remap",
	[UFFDCTL_KIND_REMOVE] = "remove", [UFFDCTL_KIND_UNMAP] = "unmap",
};

UFFDCTL_EXPORT const char *uffdctl_mode_name(unsigned int bit)
{
	return bit < ARRAY_SIZE(mode_names) ? mode_names[bit] : NULL;
}

UFFDCTL_EXPORT const char *uffdctl_mode_flag(unsigned int bit)
{
	return bit < ARRAY_SIZE(mode_flags) ? mode_flags[bit] : NULL;
}

UFFDCTL_EXPORT const char *uffdctl_feature_name(unsigned int bit)
{
	return bit < ARRAY_SIZE(feature_names) ? feature_names[bit] : NULL;
}

UFFDCTL_EXPORT const char *uffdctl_ioctl_name(unsigned int bit)
{
	return bit < ARRAY_SIZE(ioctl_names) ? ioctl_names[bit] : NULL;
}

UFFDCTL_EXPORT int uffdctl_modes_parse(const char *text, uint64_t *ret)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *name;
	uint64_t modes = 0;

	if (!copy)
		return -ENOMEM;
	while ((name = strsep(&rest, ","))) {
		size_t i = 0;

		while (i < NR_MODES && strcmp(name, mode_names[i]))
			i++;
		if (i == NR_MODES)
			return -EINVAL;
		modes |= UINT64_C(1) << i;
	}
	*ret = modes;
	return 0;
}

const char *modes_text(uint64_t modes, char *buf)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < NR_MODES; i++)
		if (modes >> i & 1)
			len += snprintf(buf + len, MODES_TEXT_SIZE - len, "%s%s", len ? "," : "", mode_names[i]);
	return buf;
}

UFFDCTL_EXPORT const char *uffdctl_kind_name(enum uffdctl_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(kind_names) ? kind_names[kind] : NULL;
}

UFFDCTL_EXPORT const char *uffdctl_access_name(enum uffdctl_access access)
{
	static const char *const names[] = { [UFFDCTL_ACCESS_READ] = "read", [UFFDCTL_ACCESS_WRITE] = "write" };

	return (size_t)access < ARRAY_SIZE(names) ? names[access] : NULL;
}

UFFDCTL_EXPORT const char *uffdctl_role_name(enum uffdctl_role role)
{
	return role == UFFDCTL_ROLE_READER ? "reader" : role == UFFDCTL_ROLE_ONLY ? "only" : NULL;
}

UFFDCTL_EXPORT const char *uffdctl_wait_state_name(enum uffdctl_wait_state state)
{
	static const char *const names[] = { [UFFDCTL_WAIT_QUEUED] = "queued", [UFFDCTL_WAIT_DELIVERED] = "delivered" };

	return (size_t)state < ARRAY_SIZE(names) ? names[state] : NULL;
}

UFFDCTL_EXPORT const char *uffdctl_end_name(enum uffdctl_end end)
{
	static const char *const names[] = { "woken", "signal", "released", "not_waited" };

	return (size_t)end < ARRAY_SIZE(names) ? names[end] : NULL;
}

enum uffdctl_kind kind_of_message(uint32_t event, uint64_t flags)
{
	switch (event) {
	case UFFD_EVENT_PAGEFAULT:
		return flags & UFFD_PAGEFAULT_FLAG_RWP	   ? UFFDCTL_KIND_RWP
		       : flags & UFFD_PAGEFAULT_FLAG_WP	   ? UFFDCTL_KIND_WP
		       : flags & UFFD_PAGEFAULT_FLAG_MINOR ? UFFDCTL_KIND_MINOR
							   : UFFDCTL_KIND_MISSING;
	case UFFD_EVENT_FORK:
		return UFFDCTL_KIND_FORK;
	case UFFD_EVENT_REMAP:
		return UFFDCTL_KIND_REMAP;
	case UFFD_EVENT_REMOVE:
		return UFFDCTL_KIND_REMOVE;
	case UFFD_EVENT_UNMAP:
		return UFFDCTL_KIND_UNMAP;
	default:
		return UFFDCTL_KIND_UNKNOWN;
	}
}
