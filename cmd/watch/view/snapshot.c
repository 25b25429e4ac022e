// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes a picture as plain text to a new file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd/watch/view/header.h"
#include "cmd/watch/view/panes.h"
#include "cmd/watch/view/snapshot.h"
#include "lib/cleanup.h"

#define WIDTH 200
#define MAX_TRIES 100

static void put_line(FILE *f, const struct line *l)
{
	size_t len = l->len;

	while (len && l->text[len - 1] == ' ')
		len--;
	fprintf(f, "%.*s\n", (int)len, l->text);
}

static void put_pane(FILE *f, const struct picture *p, const struct pane *pane)
{
	struct line l;

	line_init(&l, WIDTH, p->utf8);
	pane_title(pane, p, STYLE_TITLE, NULL, WIDTH, &l);
	put_line(f, &l);
	if (pane_has_heads(pane)) {
		line_init(&l, WIDTH, p->utf8);
		pane_heads(pane, p, WIDTH, &l);
		put_line(f, &l);
	}
	for (size_t i = 0; i < pane->nr_rows(p); i++) {
		line_init(&l, WIDTH, p->utf8);
		pane_row(pane, p, i, WIDTH, &l);
		put_line(f, &l);
	}
	fputc('\n', f);
}

static void put_header(FILE *f, const struct picture *p)
{
	char when[64];
	time_t now = time(NULL);
	struct line l;
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", localtime_r(&now, &tm));
	fprintf(f, "%s\n", when);
	for (int i = 0; i < HEADER_FULL; i++) {
		line_init(&l, WIDTH, p->utf8);
		header_line(p, i, HEADER_FULL, WIDTH, &l);
		put_line(f, &l);
	}
	fputc('\n', f);
}

/* Write all rows of all groupings, independent of the screen. */
static void put_all(FILE *f, struct picture *p)
{
	put_header(f, p);
	for (int i = 0; i < NR_PANES; i++) {
		for (int g = 0; i == PANE_TABLE && g < NR_GROUPINGS; g++) {
			p->table.grouping = g;
			panes[i]->gather(p, WIDTH);
			put_pane(f, p, panes[i]);
		}
		if (i != PANE_TABLE)
			put_pane(f, p, panes[i]);
	}
}

/* Create a new file: never overwrite an existing one. */
static int create(const struct picture *p, char *name, size_t size)
{
	char when[64], who[16] = "all";
	time_t now = time(NULL);
	struct tm tm;
	int fd = -1;

	if (p->nr_pids)
		snprintf(who, sizeof(who), "%d", p->pids[0]);
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

/* An error such as a full disk may only occur when the buffer is written. Takes over fd. */
static int write_all(int fd, const struct picture *p)
{
	struct picture all = *p;
	FILE *f = fdopen(fd, "w");
	int r = 0;

	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	all.filter[0] = '\0';
	all.in_file = true;
	put_all(f, &all);
	errno = 0;
	if (fflush(f) || ferror(f))
		r = errno ? -errno : -EIO;
	if (fclose(f) && !r)
		r = -errno;
	return r;
}

void snapshot(const struct picture *p, struct view_messages *messages)
{
	char name[128];
	int fd = create(p, name, sizeof(name)), r = fd < 0 ? fd : write_all(fd, p);

	if (fd >= 0 && r < 0)
		unlink(name);
	if (r < 0)
		messages_say(messages, true, "no snapshot: %s: %s", strerror(-r), name);
	else
		messages_say(messages, false, "snapshot: %s", name);
}
