// SPDX-License-Identifier: LGPL-2.1-or-later
/* The files of a recording that is being written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/record/file.h"

/* The name of an older file; 0: of the file itself. NULL: out of memory. */
static char *name_of(const struct record_file *f, unsigned int nr)
{
	char *name;

	return (nr ? asprintf(&name, "%s.%u", f->path, nr) : asprintf(&name, "%s", f->path)) < 0 ? NULL : name;
}

static int create(struct record_file *f)
{
	/* O_EXCL follows no symbolic link, and never writes into what another program has put there. */
	f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
	if (f->fd >= 0)
		return 0;
	if (errno == EEXIST)
		return fail(f->u, -EEXIST, "%s: exists already: remove it, or record into another file", f->path);
	return fail(f->u, -errno, "%s: %s", f->path, strerror(errno));
}

static int check_older(const struct record_file *f)
{
	struct stat st;

	for (unsigned int i = 1; i <= UFFDCTL_RECORDER_KEPT; i++) {
		_cleanup_free_ char *name = name_of(f, i);

		if (!name)
			return log_oom(f->u);
		if (lstat(name, &st) == 0)
			return fail(f->u, -EEXIST,
				    "%s: exists already, and would be an older file of %s: remove it, or record into "
				    "another file",
				    name, f->path);
	}
	return 0;
}

int record_file_open(struct uffdctl *u, const char *path, bool older, struct record_file *ret)
{
	struct record_file f = { .u = u, .fd = -1, .path = strdup(path) };
	int r = f.path ? 0 : log_oom(u);

	if (r >= 0 && older)
		r = check_older(&f);
	if (r >= 0)
		r = create(&f);
	if (r < 0) {
		record_file_close(&f);
		return r;
	}
	*ret = f;
	return 0;
}

/* A part of a block would look like the rest of a process that was killed: take it away. */
static int undo_write(struct record_file *f, int err)
{
	bool undone = ftruncate(f->fd, f->bytes) == 0;

	return fail(f->u, err,
		    "%s: %s: recording has ended; what was written until then can be read by uffdctl report%s", f->path,
		    strerror(-err), undone ? "" : ", which drops the incomplete end");
}

int record_file_write(struct record_file *f, const void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(f->fd, (const char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return undo_write(f, n < 0 ? -errno : -EIO);
		done += (size_t)n;
	}
	f->bytes += (off_t)len;
	return 0;
}

/* PATH.2 becomes PATH.3, PATH.1 becomes PATH.2, PATH becomes PATH.1. */
static int shift(struct record_file *f)
{
	for (unsigned int i = f->nr_older + 1; i--;) {
		_cleanup_free_ char *from = name_of(f, i), *to = name_of(f, i + 1);

		if (!from || !to)
			return log_oom(f->u);
		/* The last one that is kept takes the place of one that we have made. */
		if (i == UFFDCTL_RECORDER_KEPT)
			continue;
		if (renameat2(AT_FDCWD, from, AT_FDCWD, to, i + 1 > f->nr_older ? RENAME_NOREPLACE : 0) == 0)
			continue;
		/* A file system without RENAME_NOREPLACE; somebody has taken the file away. */
		if ((errno == EINVAL && rename(from, to) == 0) || errno == ENOENT)
			continue;
		return fail(f->u, -errno, "%s: renaming it to %s: %s: recording has ended", from, to, strerror(errno));
	}
	return 0;
}

int record_file_rotate(struct record_file *f)
{
	int r = shift(f);

	if (r < 0)
		return r;
	if (f->nr_older < UFFDCTL_RECORDER_KEPT)
		f->nr_older++;
	close(f->fd);
	f->bytes = 0;
	return create(f);
}

void record_file_close(struct record_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
}
