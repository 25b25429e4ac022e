// SPDX-License-Identifier: GPL-2.0-or-later
/* Files that are written under another name first, and renamed into place. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/replace.h"

/* A name that can't be looked at is for who writes there to fail at. */
int check_replaceable(const char *path, struct messages *messages)
{
	struct stat st;
	int r = 0;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (r < 0)
		error_errno(messages, r, "%s: %s: the output replaces the file: name a regular file, or a new one",
			    path, r == -EISDIR ? strerror(EISDIR) : "not a regular file");
	return r;
}
