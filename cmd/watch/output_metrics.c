// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals as a file of metrics, for the textfile collector of Prometheus' node_exporter. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/messages.h"
#include "cmd/watch/metrics.h"

struct metrics_file {
	struct metrics metrics;
	char *temporary; /* the file that replaces the other */
	bool failed;	 /* said already */
};

/* A reader sees the old file or the new one, never a part. */
static int write_file(struct metrics_file *m, const struct uffdctl_watch_stats *st)
{
	int fd = open(m->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644), err = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	metrics_put(f, &m->metrics, st);
	if (ferror(f))
		err = -EIO;
	if (fclose(f))
		err = -errno;
	if (!err && rename(m->temporary, m->metrics.session->options->metrics) < 0)
		err = -errno;
	if (err)
		unlink(m->temporary);
	return err;
}

/* ---- the output form ---- */

static bool fits(const struct watch_options *o)
{
	return o->metrics;
}

static void file_free(struct metrics_file *m)
{
	free(m->temporary);
	metrics_end(&m->metrics);
	free(m);
}

static void show(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	struct metrics_file *m = data;
	int r = write_file(m, st);

	(void)passed_ns;
	/* Said once; a full disk may have room again. */
	if (r < 0 && !m->failed)
		error(m->metrics.session->messages, "%s: %s; it is tried again at each interval",
		      m->metrics.session->options->metrics, strerror(-r));
	m->failed = r < 0;
}

/* The first file is there when watching has begun, or nobody can write it. */
static int begin(struct watch_session *s, void **ret)
{
	struct uffdctl_watch_stats st = { .size = sizeof(st) };
	struct metrics_file *m = calloc(1, sizeof(*m));
	int r;

	if (!m || asprintf(&m->temporary, "%s.%d", s->options->metrics, getpid()) < 0) {
		free(m);
		error(s->messages, "out of memory");
		return -ENOMEM;
	}
	m->metrics.session = s;
	r = uffdctl_watch_stats(s->watch, &st);
	if (r >= 0 && (r = write_file(m, &st)) < 0)
		error(s->messages, "%s: %s", s->options->metrics, strerror(-r));
	if (r < 0) {
		file_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

static void no_fault(void *data, const struct uffdctl_fault *f)
{
	(void)data, (void)f;
}

static void end(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	if (st)
		show(data, st, passed_ns);
	file_free(data);
}

const struct watch_output output_metrics = {
	.fits = fits,
	.begin = begin,
	.fault = no_fault,
	.totals = show,
	.end = end,
};
