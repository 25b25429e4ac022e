// SPDX-License-Identifier: GPL-2.0-or-later
/* A file of metrics for the textfile collector of Prometheus' node_exporter. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/metrics_file.h"
#include "cmd/replace.h"
#include "lib/cleanup.h"

int metrics_file_init(struct metrics_file *m, const char *path, struct messages *messages)
{
	int r = check_replaceable(path, messages);

	*m = (struct metrics_file){ .path = path };
	if (r < 0)
		return r;
	if (asprintf(&m->temporary, "%s.%d", path, getpid()) < 0) {
		m->temporary = NULL;
		error(messages, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

void metrics_file_free(struct metrics_file *m)
{
	free(m->temporary);
	m->temporary = NULL;
}

int metrics_file_write(struct metrics_file *m, void (*put)(FILE *f, void *data), void *data)
{
	int fd = open(m->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644), err = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	put(f, data);
	if (ferror(f))
		err = -EIO;
	if (fclose(f))
		err = -errno;
	if (!err && rename(m->temporary, m->path) < 0)
		err = -errno;
	if (err)
		unlink(m->temporary);
	return err;
}

void metrics_file_replace(struct metrics_file *m, void (*put)(FILE *f, void *data), void *data,
			  struct messages *messages)
{
	int r = metrics_file_write(m, put, data);

	if (r < 0 && !m->failed)
		error_errno(messages, r, "%s: %s; it is tried again at each interval", m->path, strerror(-r));
	m->failed = r < 0;
}

void metrics_family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_label(FILE *f, const char *raw)
{
	_cleanup_free_ char *escaped = NULL;

	if (uffdctl_escape(raw, &escaped) < 0)
		return;
	for (const char *p = escaped; *p; p++) {
		if (*p == '"' || *p == '\\')
			fputc('\\', f);
		fputc(*p, f);
	}
}
