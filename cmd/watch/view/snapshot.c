// SPDX-License-Identifier: GPL-2.0-or-later
/* Key s of the view: all of it as plain text, in a new file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd/watch/view/view.h"

#define WIDTH 200
#define MAX_TRIES 100

static void put_line(FILE *f, struct line *l)
{
	size_t len = l->len;

	while (len && l->text[len - 1] == ' ')
		len--;
	fprintf(f, "%.*s\n", (int)len, l->text);
}

static void put_pane(FILE *f, struct view *v, enum pane p)
{
	static struct line l;

	line_init(&l, WIDTH, v->utf8);
	pane_title(v, p, WIDTH, &l);
	put_line(f, &l);
	if (p == PANE_WAIT || p == PANE_TABLE) {
		line_init(&l, WIDTH, v->utf8);
		pane_heads(v, p, WIDTH, &l);
		put_line(f, &l);
	}
	for (size_t i = 0; i < pane_rows(v, p); i++) {
		line_init(&l, WIDTH, v->utf8);
		pane_row(v, p, i, WIDTH, &l);
		put_line(f, &l);
	}
	fputc('\n', f);
}

static void put_histogram(FILE *f, struct view *v)
{
	static struct line l;

	line_init(&l, WIDTH, v->utf8);
	pane_title(v, PANE_HISTOGRAM, WIDTH, &l);
	put_line(f, &l);
	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		line_init(&l, WIDTH, v->utf8);
		histogram_row(v, i, &l);
		put_line(f, &l);
	}
	fputc('\n', f);
}

/* With all rows of all groupings, whatever is shown. */
static void put_all(FILE *f, struct view *v)
{
	static struct line l;
	char when[64];
	time_t now = time(NULL);
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", localtime_r(&now, &tm));
	fprintf(f, "%s\n", when);
	for (int y = 0; y < VIEW_HEADER; y++) {
		line_init(&l, WIDTH, v->utf8);
		header_line(v, y, WIDTH, &l);
		put_line(f, &l);
	}
	fputc('\n', f);
	put_pane(f, v, PANE_WAIT);
	put_histogram(f, v);
	put_pane(f, v, PANE_HEAT);
	for (int g = 0; g < NR_GROUPINGS; g++) {
		v->grouping = g;
		rows_gather(v);
		put_pane(f, v, PANE_TABLE);
	}
	put_pane(f, v, PANE_LOG);
}

/* A new file: what is there is never written over. */
static int create(char *name, size_t size)
{
	char when[64], who[16] = "all";
	time_t now = time(NULL);
	struct tm tm;
	int fd = -1;

	if (watch_options.pids.nr)
		snprintf(who, sizeof(who), "%d", watch_options.pids.list[0]);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
	snprintf(name, size, "uffdctl-watch-%s-%s.txt", who, when);
	for (int i = 2; i < MAX_TRIES; i++) {
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd >= 0 || errno != EEXIST)
			break;
		snprintf(name, size, "uffdctl-watch-%s-%s-%d.txt", who, when, i);
	}
	return fd < 0 ? -errno : fd;
}

void view_snapshot(struct view *v)
{
	_cleanup_free_ struct view *copy = malloc(sizeof(*copy));
	char name[128];
	int fd = create(name, sizeof(name)), r = 0;
	FILE *f = fd >= 0 && copy ? fdopen(fd, "w") : NULL;

	if (!f) {
		view_say(v, true, "no snapshot: %s: %s", strerror(fd < 0 ? -fd : ENOMEM), name);
		if (fd >= 0)
			close(fd);
		return;
	}
	*copy = *v;
	copy->filter[0] = '\0';
	copy->focus = NR_PANES;
	put_all(f, copy);
	/* What a full disk has to say comes when it is written out. */
	errno = 0;
	if (fflush(f) || ferror(f))
		r = errno ? -errno : -EIO;
	if (fclose(f) && !r)
		r = -errno;
	if (r < 0) {
		unlink(name);
		view_say(v, true, "no snapshot: %s: %s", strerror(-r), name);
	} else {
		view_say(v, false, "snapshot: %s", name);
	}
}
