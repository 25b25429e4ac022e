// SPDX-License-Identifier: GPL-2.0-or-later
/* The command table. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"

static const struct cmd *const cmds[] = {
	&cmd_list,     &cmd_pending, &cmd_smaps,    &cmd_register, &cmd_unregister,
	&cmd_continue, &cmd_copy,    &cmd_zeropage, &cmd_wake,	   &cmd_watch,
};

#define NR_CMDS (sizeof(cmds) / sizeof(cmds[0]))

static void print_version(FILE *f, struct argp_state *state)
{
	(void)state;
	fprintf(f, "uffdctl %s\n", UFFDCTL_VERSION);
}

static const struct cmd *find_cmd(const char *name)
{
	for (size_t i = 0; i < NR_CMDS; i++)
		if (!strcmp(cmds[i]->name, name))
			return cmds[i];
	return NULL;
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
	fputs("\n\"uffdctl COMMAND --help\" tells of one; uffdctl(1) and uffdctl-COMMAND(1) tell all.", f);
	fclose(f);
	return list;
}

static const struct cmd *chosen;
static char **chosen_argv;
static int chosen_argc;

static error_t parse_main(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_ARG:
		chosen = find_cmd(arg);
		if (!chosen)
			argp_error(state, "%s: no such command: see uffdctl --help", arg);
		chosen_argc = state->argc - state->next + 1;
		chosen_argv = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no command given");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp main_argp = {
	.parser = parse_main,
	.args_doc = "COMMAND [OPTION...] [ARG...]",
	.doc = "Inspect and drive the userfaultfds of other, running processes.\v ",
	.help_filter = help_filter,
	.children = (const struct argp_child[]){ { &common_argp, 0, NULL, 0 }, {} },
};

/* ---- uffdctl COMMAND ---- */

static char *cmd_usage;

static error_t parse_cmd(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_INIT)
		for (size_t i = 0; state->root_argp->children[i].argp; i++)
			state->child_inputs[i] = state->input;
	return common.cmd->parse ? common.cmd->parse(key, arg, state) : ARGP_ERR_UNKNOWN;
}

static int run_cmd(const struct cmd *cmd, int argc, char **argv)
{
	struct argp argp = {
		.options = cmd->options,
		.parser = parse_cmd,
		.args_doc = cmd->args,
		.doc = cmd->summary,
		.children = cmd->children,
	};

	common.cmd = cmd;
	/* argp takes the name that it shows from here. */
	if (asprintf(&cmd_usage, "uffdctl %s", cmd->name) < 0)
		return EXIT_UNDONE;
	argv[0] = cmd_usage;
	program_invocation_short_name = cmd_usage;
	options_check(&argp, argc, argv, false);
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	return cmd->run();
}

/*
 * A descriptor that we open must not become stdin, stdout or stderr: what is printed
 * would be written into it, and it may be a target's memory. A stdin that was closed can
 * be told by what it is open for.
 */
static int check_stdio(void)
{
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0) {
		error("stdout is closed");
		return -EBADF;
	}
	for (int fd = open("/dev/null", O_WRONLY); fd >= 0; fd = open("/dev/null", O_WRONLY)) {
		if (fd > STDERR_FILENO) {
			close(fd);
			break;
		}
	}
	return 0;
}

/* argp prints --help and --version, and exits, by itself. */
static void check_stdout(void)
{
	if (stdout_failed())
		_exit(EXIT_UNDONE);
}

int main(int argc, char **argv)
{
	setlocale(LC_ALL, "");
	/* A closed pipe is an error like others, told and cleaned up after. */
	signal(SIGPIPE, SIG_IGN);
	/* What is too large for ulimit -f is an error that can be told. */
	signal(SIGXFSZ, SIG_IGN);
	argp_program_version_hook = print_version;
	argp_err_exit_status = EXIT_USAGE;
	if (check_stdio() < 0)
		return EXIT_UNDONE;

	atexit(check_stdout);
	/* Whoever starts it chooses that, and it is printed. */
	argv[0] = (char *)"uffdctl";
	program_invocation_name = program_invocation_short_name = argv[0];
	options_check(&main_argp, argc, argv, true);
	argp_parse(&main_argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
	/* argp_error() has ended us where there is none. */
	return chosen ? run_cmd(chosen, chosen_argc, chosen_argv) : EXIT_USAGE;
}
