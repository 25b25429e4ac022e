// SPDX-License-Identifier: GPL-2.0-or-later
/* The command table; a call is parsed and run here, and ends here. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cmd/options.h"

static const struct cmd *const cmds[] = {
	&cmd_list,     &cmd_pending, &cmd_smaps,    &cmd_pages,	 &cmd_peek,	    &cmd_register,  &cmd_unregister,
	&cmd_continue, &cmd_copy,    &cmd_zeropage, &cmd_poison, &cmd_writeprotect, &cmd_rwprotect, &cmd_wake,
	&cmd_zap,      &cmd_serve,   &cmd_watch,    &cmd_report, &cmd_set,	    &cmd_doctor,
};

#define NR_CMDS (sizeof(cmds) / sizeof(cmds[0]))

static const struct cmd *find_cmd(const char *name)
{
	for (size_t i = 0; i < NR_CMDS; i++)
		if (!strcmp(cmds[i]->name, name))
			return cmds[i];
	return strcmp(name, cmd_complete.name) ? NULL : &cmd_complete;
}

/* ---- uffdctl ---- */

static char *help_filter(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size;
	FILE *f;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC || !(f = open_memstream(&list, &size)))
		return (char *)text;
	fputs("Commands:\n", f);
	for (size_t i = 0; i < NR_CMDS; i++)
		fprintf(f, "  %-12s %s\n", cmds[i]->name, cmds[i]->summary);
	fputs("\nA PID may be written as %NAME, for the process with that name.\n", f);
	fputs("See \"uffdctl help COMMAND\" for a command, and the man pages uffdctl(1) and uffdctl-COMMAND(1).", f);
	fclose(f);
	return list;
}

/* The rest of the line is the command's. */
static error_t choose_cmd(struct invocation *inv, const char *name, struct argp_state *state)
{
	inv->cmd = find_cmd(name);
	state->next = state->argc;
	return inv->cmd ? 0 : usage_error(state, "%s: no such command: see uffdctl --help", name);
}

/* As "uffdctl COMMAND --help", or as "uffdctl --help". */
static error_t ask_for_help(struct invocation *inv, struct argp_state *state)
{
	static char option[] = "--help";
	static char *argv[] = { NULL, option, NULL };

	if (state->next == state->argc) {
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return ECANCELED;
	}
	inv->argc = 2;
	inv->argv = argv;
	return choose_cmd(inv, state->argv[state->next], state);
}

static error_t parse_main(int key, char *arg, struct argp_state *state)
{
	struct invocation *inv = invocation_of(state);

	switch (key) {
	case ARGP_KEY_ARG:
		if (!strcmp(arg, "help"))
			return ask_for_help(inv, state);
		inv->argc = state->argc - state->next + 1;
		inv->argv = state->argv + state->next - 1;
		return choose_cmd(inv, arg, state);
	case ARGP_KEY_NO_ARGS:
		return usage_error(state, "no command given: see uffdctl --help");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp main_argp = {
	.parser = parse_main,
	.args_doc = "COMMAND [OPTION...] [ARG...]\nhelp [COMMAND]",
	.doc = "Inspect and drive the userfaultfds of other, running processes.\v ",
	.help_filter = help_filter,
	.children =
		(const struct argp_child[]){
			{ &common_argp, 0, NULL, 0 }, { &table_argp, 0, NULL, 0 }, { &help_argp, 0, NULL, 0 }, {} },
};

/* Returns false when the call ends here, with *status. */
static bool parse_line(struct invocation *inv, unsigned int flags, void *input, int *status)
{
	error_t err;

	/* The caller chooses argv[0], and it is printed: escape it. */
	inv->argv[0] = inv->name;
	program_invocation_name = program_invocation_short_name = inv->name;
	err = usage_check(&inv->argp, inv->argc, inv->argv, flags & ARGP_IN_ORDER, &inv->messages);
	if (!err)
		err = argp_parse(&inv->argp, inv->argc, inv->argv, flags | ARGP_NO_EXIT | ARGP_NO_HELP, NULL, input);
	if (err == ENOMEM)
		error(&inv->messages, "out of memory");
	*status = err == ECANCELED ? EXIT_DONE : err == ENOMEM || err == EBADF ? inv->exit_failed : EXIT_USAGE;
	return !err;
}

/* ---- uffdctl COMMAND ---- */

#define MAX_GROUPS 8

static error_t end_parsing(struct invocation *inv)
{
	if (!inv->has_stdout)
		return EBADF;
	return inv->cmd->columns ? -table_new(inv->cmd->name, inv->columns ?: inv->cmd->columns, &inv->style,
					      &inv->messages, &inv->table)
				 : 0;
}

static error_t parse_command(int key, char *arg, struct argp_state *state)
{
	struct invocation *inv = invocation_of(state);
	const struct cmd *cmd = inv->cmd;
	error_t err;

	if (key == ARGP_KEY_INIT)
		for (size_t i = 0; cmd->groups[i].argp; i++)
			state->child_inputs[i] = (char *)inv->options + cmd->groups[i].offset;
	err = cmd->parse ? cmd->parse(key, arg, state) : ARGP_ERR_UNKNOWN;
	/* argp calls this parser last: all options are recorded. */
	if (key == ARGP_KEY_END && (!err || err == ARGP_ERR_UNKNOWN))
		err = end_parsing(inv);
	return err;
}

static void set_log(struct invocation *inv)
{
	inv->messages.context = inv->context;
	uffdctl_set_log(inv->context,
			inv->messages.quiet ? UFFDCTL_LOG_ERROR
			: inv->verbose > 1  ? UFFDCTL_LOG_DEBUG
			: inv->verbose	    ? UFFDCTL_LOG_INFO
					    : UFFDCTL_LOG_NOTICE,
			on_log, &inv->messages);
}

static int parse_and_run(struct invocation *inv)
{
	const struct cmd *cmd = inv->cmd;
	struct argp_child children[MAX_GROUPS + 5] = {};
	size_t n = 0;
	int status;

	for (; n < MAX_GROUPS && cmd->groups[n].argp; n++)
		children[n].argp = cmd->groups[n].argp;
	children[n++].argp = &common_argp;
	if (cmd->columns) {
		children[n++].argp = &table_argp;
		children[n++].argp = &columns_argp;
	}
	children[n].argp = &help_argp;
	inv->argp = (struct argp){ .options = cmd->options,
				   .parser = parse_command,
				   .args_doc = cmd->args,
				   .doc = cmd->summary,
				   .children = children };
	snprintf(inv->name, sizeof(inv->name), "uffdctl %s", cmd->name);
	set_log(inv);
	if (!parse_line(inv, 0, inv->options, &status))
		return status;
	set_log(inv);
	inv->messages.keeps_errors = inv->style.json;
	return cmd->run(inv);
}

static int run_command(struct invocation *inv)
{
	int status = inv->exit_failed;

	inv->options = calloc(1, inv->cmd->options_size);
	if (inv->options && uffdctl_new(&inv->context) == 0)
		status = parse_and_run(inv);
	else
		error(&inv->messages, "out of memory");
	table_free(inv->table);
	json_object_put(messages_take_errors(&inv->messages));
	free(inv->options);
	uffdctl_free(inv->context);
	return status;
}

/*
 * A descriptor that we open must not become stdin, stdout or stderr: messages would be written into it, and it may be
 * a target's memory. A closed stdin is recognised by its open mode.
 */
static bool open_stdio(void)
{
	bool has_stdout = fcntl(STDOUT_FILENO, F_GETFD) >= 0;

	for (int fd = open("/dev/null", O_WRONLY); fd >= 0; fd = open("/dev/null", O_WRONLY)) {
		if (fd > STDERR_FILENO) {
			close(fd);
			break;
		}
	}
	return has_stdout;
}

/*
 * The reader of our pipe has ended, as head(1) does when it has enough. End as others do, by SIGPIPE, unless the exit
 * status says what was changed.
 */
static int end_quietly(const struct invocation *inv, int status)
{
	if (inv->cmd && inv->cmd->acts)
		return status;
	signal(SIGPIPE, inv->on_sigpipe);
	raise(SIGPIPE);
	return 128 + SIGPIPE;
}

/* Has everything been printed? Returns the exit status. */
static int end(struct invocation *inv, int status)
{
	if (!inv->has_stdout)
		error(&inv->messages, "stdout is closed");
	else if (!stdout_failed(&inv->messages))
		return status;
	else if (inv->messages.reader_gone)
		return end_quietly(inv, status);
	return inv->exit_failed;
}

int main(int argc, char **argv)
{
	struct invocation inv = {
		.argc = argc,
		.argv = argv,
		.argp = main_argp,
		.name = "uffdctl",
		.exit_failed = EXIT_UNDONE,
		.cmds = cmds,
		.nr_cmds = NR_CMDS,
	};
	int status;

	/* Numbers have a point everywhere. */
	setlocale(LC_CTYPE, "");
	setlocale(LC_MESSAGES, "");
	/* What was begun is ended when the reader of our pipe is gone, too. */
	inv.on_sigpipe = signal(SIGPIPE, SIG_IGN);
	/* Exceeding ulimit -f is an error that can be reported. */
	signal(SIGXFSZ, SIG_IGN);
	inv.has_stdout = open_stdio();
	options_default(&inv);
	if (parse_line(&inv, ARGP_IN_ORDER, NULL, &status))
		status = run_command(&inv);
	return end(&inv, status);
}
