// SPDX-License-Identifier: GPL-2.0-or-later
/* Progress of long work on stderr: bar, rate, remaining time; and Ctrl-C. */
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cmd/progress.h"

static enum {
	AUTO,
	ALWAYS,
	NEVER
} when;
static volatile sig_atomic_t interrupted;
static struct timespec began;
static bool shown;

static const struct argp_option options[] = {
	{ "progress", 'P', "WHEN", 0,
	  "Show progress: auto (the default: on a terminal, after a second), always or never", 60 },
	{}
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key != 'P')
		return ARGP_ERR_UNKNOWN;
	if (!strcmp(arg, "auto"))
		when = AUTO;
	else if (!strcmp(arg, "always"))
		when = ALWAYS;
	else if (!strcmp(arg, "never"))
		when = NEVER;
	else
		argp_error(state, "--progress=%s: write auto, always or never", arg);
	return 0;
}

const struct argp progress_argp = { .options = options, .parser = parse };

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

void progress_begin(bool only_looks)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART | SA_RESETHAND };

	clock_gettime(CLOCK_MONOTONIC, &began);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		struct sigaction old;

		/*
		 * What was ignored, as by nohup, stays so. A script's shell ignores SIGINT for what it
		 * starts in the background, and kill -INT is how what only looks is ended there.
		 */
		if (sigaction(sigs[i], NULL, &old) == 0 &&
		    (old.sa_handler != SIG_IGN || (only_looks && sigs[i] == SIGINT)))
			sigaction(sigs[i], &sa, NULL);
	}
}

bool progress_interrupted(void)
{
	return interrupted;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - began.tv_sec) + (now.tv_nsec - began.tv_nsec) / 1e9;
}

static bool wanted(double s)
{
	if (common.quiet || when == NEVER)
		return false;
	return when == ALWAYS || (s >= 1 && isatty(STDERR_FILENO));
}

static void draw(double s, uint64_t done, uint64_t total)
{
	static const char full[] = "##################################################";
	double rate = s > 0 ? done / s : 0;
	uint64_t left = rate > 0 ? (total - done) / rate : 0;
	struct winsize ws;
	int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col ? ws.ws_col : 80;
	int bar = width - 44, cells;

	bar = bar < 0 ? 0 : bar > 50 ? 50 : bar;
	cells = total ? (double)done / total * bar : bar;
	fprintf(stderr, "\r%3d%% [%-*.*s] %8.1f MiB/s, %02" PRIu64 ":%02" PRIu64 " left ",
		total ? (int)((double)done / total * 100) : 100, bar, cells, full, rate / (1 << 20), left / 60,
		left % 60);
	fflush(stderr);
	shown = true;
}

int progress_show(void *data, uint64_t done_bytes, uint64_t total_bytes)
{
	double s = seconds();

	(void)data;
	if (wanted(s))
		draw(s, done_bytes, total_bytes);
	return interrupted;
}

void progress_end(void)
{
	if (!shown)
		return;
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	else
		fputc('\n', stderr);
	shown = false;
}
