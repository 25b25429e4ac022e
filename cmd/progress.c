// SPDX-License-Identifier: GPL-2.0-or-later
/* Progress of long work on stderr: bar, rate, remaining time. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/progress.h"

static const struct argp_option progress_options[] = {
	{ "progress", 'P', "WHEN", 0,
	  "Show progress: auto (the default: on a terminal, after a second), always or never", 60 },
	{}
};

static error_t parse_progress(int key, char *arg, struct argp_state *state)
{
	struct progress *p = state->input;

	return key == 'P' ? parse_when(state, "progress", arg, &p->when) : ARGP_ERR_UNKNOWN;
}

const struct argp progress_argp = { .options = progress_options, .parser = parse_progress };

void progress_begin(struct progress *p)
{
	clock_gettime(CLOCK_MONOTONIC, &p->began);
}

double progress_seconds(const struct progress *p)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - p->began.tv_sec) + (now.tv_nsec - p->began.tv_nsec) / 1e9;
}

static void draw(struct progress *p, double s, uint64_t done, uint64_t total)
{
	static const char full[] = "##################################################";
	double rate = s > 0 ? done / s : 0;
	uint64_t left = rate > 0 ? (total - done) / rate : 0;
	char time[32] = "--:--";
	struct winsize ws;
	int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col ? ws.ws_col : 80;
	int bar = width - 44, cells;

	bar = bar < 0 ? 0 : bar > 50 ? 50 : bar;
	cells = total ? (double)done / total * bar : bar;
	if (rate > 0)
		snprintf(time, sizeof(time), "%02" PRIu64 ":%02" PRIu64, left / 60, left % 60);
	fprintf(stderr, "\r%3d%% [%-*.*s] %8.1f MiB/s, %s left ", total ? (int)((double)done / total * 100) : 100, bar,
		cells, full, rate / (1 << 20), time);
	fflush(stderr);
	p->shown = true;
}

void progress_show(struct progress *p, uint64_t done_bytes, uint64_t total_bytes)
{
	double s = progress_seconds(p);

	if (p->when == WHEN_ALWAYS || (p->when == WHEN_AUTO && s >= 1 && isatty(STDERR_FILENO)))
		draw(p, s, done_bytes, total_bytes);
}

void progress_end(struct progress *p)
{
	if (!p->shown)
		return;
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	else
		fputc('\n', stderr);
	p->shown = false;
}
