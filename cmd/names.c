// SPDX-License-Identifier: GPL-2.0-or-later
/* Names for the library's enumerations, as every output prints them. */
#include <stddef.h>

#include "cmd/names.h"

#define NAME(names, i) ((i) < sizeof(names) / sizeof((names)[0]) ? (names)[i] : NULL)

const char *access_name(enum uffdctl_access access)
{
	static const char *const names[] = { [UFFDCTL_ACCESS_READ] = "read", [UFFDCTL_ACCESS_WRITE] = "write" };

	return NAME(names, access);
}

const char *wait_state_name(enum uffdctl_wait_state state)
{
	static const char *const names[] = { [UFFDCTL_WAIT_QUEUED] = "queued", [UFFDCTL_WAIT_DELIVERED] = "delivered" };

	return NAME(names, state);
}

const char *mode_flag_name(unsigned int bit)
{
	static const char *const names[] = { "um", "uw", "ui", "ur" };

	return NAME(names, bit);
}
