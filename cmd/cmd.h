/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What commands share: their entry in the table, their common options, their exit codes. */
#ifndef CMD_H
#define CMD_H

#include <argp.h>
#include <stdbool.h>

#include "cmd/table.h"
#include "lib/cleanup.h"
#include "lib/uffdctl.h"

enum {
	EXIT_DONE = 0,
	EXIT_UNDONE = 1, /* something was not done; stderr says what */
	EXIT_USAGE = 2,
};

struct cmd {
	const char *name;
	const char *summary; /* one line, for uffdctl --help */
	const char *args;    /* "PID RANGE..." */
	const struct argp_option *options;
	error_t (*parse)(int key, char *arg, struct argp_state *state);
	const struct argp_child *children;
	const struct column *columns;
	int (*run)(void);
};

extern const struct cmd cmd_continue, cmd_copy, cmd_list, cmd_pending, cmd_register, cmd_smaps, cmd_unregister,
	cmd_wake, cmd_watch, cmd_zeropage;

/* Options that mean the same everywhere (uffdctl(1), COMMON OPTIONS). */
struct common {
	bool json, noheadings, raw, bytes, list_columns, quiet, color;
	int verbose;
	const char *columns; /* -o */
	const struct cmd *cmd;
};
extern struct common common;
extern const struct argp common_argp;

/* For commands on ranges of one process's userfaultfd: PID RANGE..., -f, --dry-run. */
struct act {
	pid_t pid;
	struct uffdctl_ranges *ranges;
	pid_t holder; /* -f PID:N */
	int fd;
	unsigned int handle_flags;
	unsigned int flags; /* UFFDCTL_DRY_RUN, _NO_WAKE, … */
	uint64_t wait_lock_ns;

	struct uffdctl_target *target;
	struct uffdctl_handle *handle;
	struct table *table;
	bool failed;
};
extern struct act act;
extern const struct argp act_argp;
extern const struct argp handshake_argp;
extern const struct argp lock_argp; /* --wait-lock */

/* The one context; its log goes to stderr. */
struct uffdctl *ctx(void);

int act_open(void);
/* Columns of results are struct act_row. */
struct act_row {
	const struct uffdctl_result *result;
};
void act_result(void *data, const struct uffdctl_result *result);
/* Prints the table, frees all, and turns what became of it into an exit code. */
int act_close(int r);

/* Columns that several listings have. */
void col_act_pid(const void *row, struct cell *ret);
void col_act_start(const void *row, struct cell *ret);
void col_act_end(const void *row, struct cell *ret);
void col_act_error(const void *row, struct cell *ret);

int parse_pid(const char *text, pid_t *ret);
/* "100us", "5ms", "2"; -EINVAL. */
int parse_time(const char *text, uint64_t *ret_ns);

/*
 * Everything that is said is escaped on its way. argp's own function prints arguments as they are, so that ours
 * has its name; what getopt(3) would print by itself is checked before.
 */
void usage_error(const struct argp_state *state, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define argp_error(...) usage_error(__VA_ARGS__)
/* @in_order: what is behind the first argument that is no option is somebody else's. Exits when it is not well. */
void options_check(const struct argp *argp, int argc, char **argv, bool in_order);

/* To stderr, as "uffdctl: …"; not with -q. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Both, and the library's messages, go here instead of stderr. NULL: to stderr again. */
void messages_to(void (*fn)(const char *msg));

#endif
