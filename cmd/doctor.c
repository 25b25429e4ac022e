// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl doctor: what this kernel and this user can do, and the remedy for what they can't. */
#include <errno.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/http.h"
#include "cmd/options.h"
#include "cmd/pids.h"
#include "cmd/terminal.h"
#include "cmd/values.h"
#include "lib/cleanup.h"

struct doctor_options {
	const char *command; /* --for; NULL: everything */
	pid_t pid;
	const char *name; /* of the process, if it was given by name */
};

/* ---- checks ---- */

static const struct uffdctl_check *check_of(const void *row)
{
	return row;
}

static void check_name(const void *row, struct cell *ret)
{
	cell_text(ret, check_of(row)->name);
}

static void check_ok(const void *row, struct cell *ret)
{
	uint64_t ok = check_of(row)->ok;

	cell_bool(ret, ok);
	ret->alert = !ok;
}

static void check_detail(const void *row, struct cell *ret)
{
	cell_text(ret, check_of(row)->detail);
}

static void check_remedy(const void *row, struct cell *ret)
{
	cell_text(ret, check_of(row)->remedy);
}

static void check_group(const void *row, struct cell *ret)
{
	cell_text(ret, check_of(row)->group);
}

static void check_layers(const void *row, struct cell *ret)
{
	cell_bits(ret, check_of(row)->layers, uffdctl_layer_name);
}

static const struct column check_columns[] = {
	{ "CHECK", "what was tried", 0, check_name },
	{ "OK", "yes: it works; no: it does not; -: that could not be found out", 0, check_ok },
	{ "DETAIL", "what works, or what said no", COL_WRAP, check_detail },
	{ "REMEDY", "commands that change it, the one that gives least privilege first", COL_WRAP, check_remedy },
	{ "GROUP", "group of the check", COL_HIDDEN, check_group },
	{ "LAYERS", "what said no; several: one of these, and it is not known which", COL_HIDDEN, check_layers },
	{}
};

/* ---- mappings ---- */

static const struct uffdctl_prospect *prospect_of(const void *row)
{
	return row;
}

static void prospect_start(const void *row, struct cell *ret)
{
	cell_address(ret, prospect_of(row)->range.start);
}

static void prospect_end(const void *row, struct cell *ret)
{
	cell_address(ret, prospect_of(row)->range.end);
}

static void prospect_perms(const void *row, struct cell *ret)
{
	cell_text(ret, prospect_of(row)->perms);
}

static void prospect_memory(const void *row, struct cell *ret)
{
	static const char *const names[] = {
		[UFFDCTL_MEMORY_ANON] = "anon",	      [UFFDCTL_MEMORY_SHMEM] = "shmem",
		[UFFDCTL_MEMORY_HUGETLB] = "hugetlb", [UFFDCTL_MEMORY_GUEST_MEMFD] = "guest_memfd",
		[UFFDCTL_MEMORY_OTHER] = "other",
	};

	cell_text(ret, names[prospect_of(row)->memory]);
}

static void prospect_mode(const void *row, struct cell *ret)
{
	cell_bits(ret, prospect_of(row)->modes, uffdctl_mode_name);
}

static void prospect_can(const void *row, struct cell *ret)
{
	cell_bits(ret, prospect_of(row)->can, uffdctl_mode_name);
}

static void prospect_unknown(const void *row, struct cell *ret)
{
	cell_bits(ret, prospect_of(row)->unknown, uffdctl_mode_name);
}

static void prospect_why(const void *row, struct cell *ret)
{
	cell_text(ret, prospect_of(row)->why);
}

static void prospect_name(const void *row, struct cell *ret)
{
	cell_text(ret, prospect_of(row)->name);
}

static const struct column prospect_columns[] = {
	{ "START", "first address of a mapping of the process", COL_RIGHT, prospect_start },
	{ "END", "address after the last byte", COL_RIGHT, prospect_end },
	{ "PERMS", "permissions, as in maps", 0, prospect_perms },
	{ "MEMORY", "anon, shmem, hugetlb, guest_memfd; other: a file or a device", 0, prospect_memory },
	{ "MODE", "modes for which it is registered now", 0, prospect_mode },
	{ "CAN", "modes for which it can be registered", 0, prospect_can },
	{ "UNKNOWN", "modes for which that is not known", 0, prospect_unknown },
	{ "WHY", "why not for others, or why that is not known", 0, prospect_why },
	{ "NAME", "file, or name that the kernel shows", COL_WIDE, prospect_name },
	{}
};

/* ---- what only the command knows ---- */

static void check_terminal(struct uffdctl_check *ret, char *buf, size_t size)
{
	const char *term = getenv("TERM"), *charset = nl_langinfo(CODESET);
	bool utf8 = !strcmp(charset, "UTF-8");
	struct winsize ws = {};

	*ret = (struct uffdctl_check){ .group = "terminal", .name = "terminal", .detail = buf };
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		ret->ok = UFFDCTL_UNKNOWN;
		snprintf(buf, size,
			 "standard input or output is no terminal, so the view of watch is not used; TERM is %s, characters are %s",
			 term ?: "not set", charset);
		return;
	}
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws);
	ret->ok = terminal_usable();
	snprintf(buf, size, "TERM is %s, %u columns, %u lines, characters are %s%s", term ?: "not set", ws.ws_col,
		 ws.ws_row, charset, utf8 ? "" : ": bars and boxes are drawn in ASCII");
	ret->remedy = ret->ok ? NULL : "export TERM=xterm-256color (a name that terminfo(5) knows)";
}

static void check_http(struct uffdctl_check *ret, char *buf)
{
	struct http_library lib;

	*ret = (struct uffdctl_check){ .group = "libraries", .name = "libmicrohttpd", .detail = buf };
	ret->ok = http_load(&lib, buf) == 0;
	if (ret->ok) {
		http_unload(&lib);
		ret->detail = HTTP_LIBRARY " for watch --listen and serve --listen";
		return;
	}
	ret->layers = UFFDCTL_LAYER_SETUP;
	ret->remedy = HTTP_REMEDY;
}

/* In a context of its own: that it is not there is a result. */
static void check_nbd(struct uffdctl_check *ret, char *buf, size_t size)
{
	struct uffdctl *u = NULL;

	*ret = (struct uffdctl_check){ .group = "libraries", .name = "libnbd", .detail = buf };
	ret->ok = uffdctl_new(&u) == 0 && uffdctl_uri_check(u) == 0;
	snprintf(buf, size, "%s",
		 ret->ok ? "contents from servers, as nbd://HOST/EXPORT"
		 : u	 ? uffdctl_last_error(u)
			 : "");
	if (!ret->ok) {
		ret->layers = UFFDCTL_LAYER_SETUP;
		ret->remedy = "apt-get install libnbd0";
	}
	uffdctl_free(u);
}

/* ---- output ---- */

static void print_heading(const struct uffdctl_doctor *d)
{
	const struct uffdctl_fact *f;

	for (size_t i = 0; (f = uffdctl_doctor_fact(d, i)); i++) {
		_cleanup_free_ char *value = NULL;

		if (uffdctl_escape(f->value, &value) == 0)
			printf("%s: %s\n", f->name, value);
	}
	putchar('\n');
}

/* In JSON, the heading is rows as well. */
static int put_facts(struct invocation *inv, const struct uffdctl_doctor *d)
{
	const struct uffdctl_fact *f;
	int r = 0;

	if (!inv->style.json) {
		if (!inv->style.noheadings && !inv->style.raw)
			print_heading(d);
		return 0;
	}
	for (size_t i = 0; r >= 0 && (f = uffdctl_doctor_fact(d, i)); i++) {
		const struct uffdctl_check c = { .group = "system", .name = f->name, .ok = 1, .detail = f->value };

		r = table_row(inv->table, &c);
	}
	return r;
}

static int put_own_checks(struct invocation *inv, const struct doctor_options *o)
{
	struct uffdctl_check terminal, http, nbd;
	char buf[256], why[HTTP_WHY];
	int r = 0;

	if (!o->command || !strcmp(o->command, "watch")) {
		check_terminal(&terminal, buf, sizeof(buf));
		r = table_row(inv->table, &terminal);
	}
	if (r < 0 || o->command)
		return r;
	check_http(&http, why);
	r = table_row(inv->table, &http);
	check_nbd(&nbd, buf, sizeof(buf));
	return r < 0 ? r : table_row(inv->table, &nbd);
}

static int put_mappings(struct invocation *inv, const struct uffdctl_doctor *d)
{
	const struct uffdctl_prospect *p;
	int r = 0;

	if (!uffdctl_doctor_prospect(d, 0))
		return 0;
	r = table_next(inv->table, "mappings", prospect_columns, 0);
	for (size_t i = 0; r >= 0 && (p = uffdctl_doctor_prospect(d, i)); i++)
		if (inv->style.json || p->modes || p->can || p->unknown)
			r = table_row(inv->table, p);
	return r;
}

static int put_all(struct invocation *inv, const struct doctor_options *o, const struct uffdctl_doctor *d)
{
	const struct uffdctl_check *c;
	int r = put_facts(inv, d);

	for (size_t i = 0; r >= 0 && (c = uffdctl_doctor_check(d, i)); i++)
		r = table_row(inv->table, c);
	if (r >= 0)
		r = put_own_checks(inv, o);
	return r >= 0 ? put_mappings(inv, d) : r;
}

/* ---- the command ---- */

static int exit_status(const struct doctor_options *o, uint64_t verdict)
{
	if (!o->command)
		return EXIT_DONE;
	return verdict == 1 ? EXIT_DONE : verdict == 0 ? EXIT_UNDONE : EXIT_UNKNOWN;
}

static int run_doctor(struct invocation *inv)
{
	struct doctor_options *o = inv->options;
	struct uffdctl_doctor_opts opts = { .size = sizeof(opts), .command = o->command };
	struct uffdctl_doctor *d = NULL;
	int status = inv->exit_failed, r = pid_find(inv, o->name, &o->pid);

	opts.pid = o->pid;
	inv->messages.pid = o->pid;
	if (r >= 0)
		r = uffdctl_doctor(inv->context, &opts, &d);
	if (r >= 0)
		r = put_all(inv, o, d);
	if (table_end(inv->table) >= 0 && r >= 0)
		status = exit_status(o, uffdctl_doctor_verdict(d));
	uffdctl_doctor_free(d);
	return status;
}

static const struct argp_option doctor_options[] = {
	{ "for", 'F', "COMMAND", 0,
	  "Check only what this command needs, for the process PID if it is given: exit status 0 if it works, 1 if it does not, 3 if that could not be found out",
	  0 },
	{}
};

static error_t parse_command_name(struct doctor_options *o, const char *arg, struct argp_state *state)
{
	for (unsigned int i = 0; uffdctl_doctor_command(i); i++)
		if (!strcmp(uffdctl_doctor_command(i), arg))
			o->command = uffdctl_doctor_command(i);
	/* From here on, 1 is an answer. */
	invocation_of(state)->exit_failed = EXIT_UNKNOWN;
	return o->command ? 0 : usage_error(state, "--for=%s: no such command: see uffdctl --help", arg);
}

static error_t parse_doctor(int key, char *arg, struct argp_state *state)
{
	struct doctor_options *o = state->input;

	switch (key) {
	case 'F':
		return parse_command_name(o, arg, state);
	case ARGP_KEY_ARG:
		if (o->pid || o->name)
			return usage_error(state, "%s: at most one PID can be given", arg);
		return parse_pid(state, arg, &o->pid, &o->name);
	case ARGP_KEY_END:
		return (o->pid || o->name) && !o->command ? usage_error(state, "a PID needs --for=COMMAND") : 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct option_group no_groups[] = { {} };

const struct cmd cmd_doctor = {
	.name = "doctor",
	.summary = "Find out what works here, and why the rest does not",
	.args = "[PID]",
	.options = doctor_options,
	.parse = parse_doctor,
	.groups = no_groups,
	.options_size = sizeof(struct doctor_options),
	.columns = check_columns,
	.more_columns = prospect_columns,
	.run = run_doctor,
};
