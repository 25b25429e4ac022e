// SPDX-License-Identifier: GPL-2.0-or-later
/* The terminal: begin, end, keys, sizes, lines in their styles. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/watch/view/terminal.h"

/* After our own headers: its macros have names such as lines and columns. */
#include <curses.h>
#include <term.h>

/* ---- styles ---- */

enum {
	PAIR_GREEN = 1,
	PAIR_YELLOW,
	PAIR_RED,
	PAIR_CYAN,
	PAIR_BUTTON,
};

static attr_t attrs[NR_STYLES];

static void set_plain_styles(void)
{
	static const attr_t plain[NR_STYLES] = {
		[STYLE_DIM] = A_DIM,
		[STYLE_TITLE] = A_BOLD,
		[STYLE_FOCUS] = A_BOLD | A_REVERSE,
		[STYLE_HEAD] = A_UNDERLINE,
		[STYLE_SORTED] = A_UNDERLINE | A_BOLD,
		[STYLE_STRONG] = A_BOLD,
		[STYLE_WARN] = A_BOLD,
		[STYLE_BAD] = A_BOLD | A_REVERSE,
		[STYLE_BUTTON] = A_REVERSE,
		[STYLE_SELECTED] = A_REVERSE,
		[STYLE_PROMPT] = A_REVERSE,
	};

	memcpy(attrs, plain, sizeof(attrs));
}

static void set_colors(void)
{
	start_color();
	use_default_colors();
	init_pair(PAIR_GREEN, COLOR_GREEN, -1);
	init_pair(PAIR_YELLOW, COLOR_YELLOW, -1);
	init_pair(PAIR_RED, COLOR_RED, -1);
	init_pair(PAIR_CYAN, COLOR_CYAN, -1);
	init_pair(PAIR_BUTTON, COLOR_BLACK, COLOR_CYAN);
	attrs[STYLE_TITLE] = A_BOLD;
	attrs[STYLE_FOCUS] = A_BOLD | COLOR_PAIR(PAIR_CYAN);
	attrs[STYLE_HEAD] = A_DIM;
	attrs[STYLE_SORTED] = COLOR_PAIR(PAIR_CYAN);
	attrs[STYLE_GOOD] = COLOR_PAIR(PAIR_GREEN);
	attrs[STYLE_WARN] = COLOR_PAIR(PAIR_YELLOW);
	attrs[STYLE_BAD] = A_BOLD | COLOR_PAIR(PAIR_RED);
	attrs[STYLE_BUTTON] = attrs[STYLE_SELECTED] = attrs[STYLE_PROMPT] = COLOR_PAIR(PAIR_BUTTON);
}

/* ---- a crash leaves a terminal that one can go on with ---- */

static struct termios saved;

/* The same sequence that curses writes; terminfo has no capability for it. */
#define MOUSE_OFF "\033[?1000l"

/* Prepared beforehand: a signal handler may only write it. */
static char restoring[256];

static void prepare_restoring(void)
{
	const char *const parts[] = { keypad_local, exit_attribute_mode, cursor_normal, exit_ca_mode,
				      key_mouse ? MOUSE_OFF : NULL };

	size_t len = 0, n;

	restoring[0] = '\0';
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		n = parts[i] ? strlen(parts[i]) : 0;
		/* Strings with pauses are for terminals that nobody uses any more. */
		if (!n || len + n >= sizeof(restoring) || strstr(parts[i], "$<"))
			continue;
		memcpy(restoring + len, parts[i], n + 1);
		len += n;
	}
}

static void on_crash(int sig)
{
	if (write(STDOUT_FILENO, restoring, strlen(restoring)) >= 0)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	raise(sig);
}

static void catch_crashes(bool on)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND }, old;

	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		sigaction(sigs[i], NULL, &old);
		/* A sanitizer has handlers of its own. */
		if (on ? old.sa_handler == SIG_DFL : old.sa_handler == on_crash)
			sigaction(sigs[i], on ? &sa : &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	}
}

/* ---- its size ---- */

/*
 * A terminal may report any size up to 65535. ncurses uses short and crashes above SHRT_MAX, so we tell it the size,
 * limited to what we can fill.
 */
#define MAX_HEIGHT 1024
#define MAX_WIDTH LINE_COLS

static volatile sig_atomic_t resized;

static void on_resize(int sig)
{
	(void)sig;
	resized = 1;
}

/* The size from the terminal, or else from the environment, or else from terminfo. */
static int bounded(int told, const char *variable, int usual, int most)
{
	const char *text = told > 0 ? NULL : getenv(variable);
	long n = told > 0 ? told : text ? strtol(text, NULL, 10) : 0;

	if (n <= 0)
		n = usual;
	return n < most ? (int)n : most;
}

static void take_size(void)
{
	struct winsize size = {};

	resized = 0;
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	resize_term(bounded(size.ws_row, "LINES", LINES, MAX_HEIGHT), bounded(size.ws_col, "COLUMNS", COLS, MAX_WIDTH));
}

static void catch_resize(bool on)
{
	struct sigaction sa = { .sa_handler = on ? on_resize : SIG_DFL };

	sigaction(SIGWINCH, &sa, NULL);
}

/* ---- begin and end ---- */

bool terminal_usable(void)
{
	bool usable;
	int err;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || setupterm(NULL, STDOUT_FILENO, &err) != OK)
		return false;
	usable = cursor_address && clear_screen;
	/* initscr() makes its own. */
	del_curterm(cur_term);
	return usable;
}

int terminal_begin(bool color)
{
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	use_env(FALSE);
	/* If there is a handler, ncurses sets none. */
	catch_resize(true);
	if (!initscr()) {
		catch_resize(false);
		return -EIO;
	}
	take_size();
	prepare_restoring();
	catch_crashes(true);
	set_plain_styles();
	if (color && has_colors())
		set_colors();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	mousemask(BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
	mouseinterval(0);
	return 0;
}

void terminal_end(void)
{
	mousemask(0, NULL);
	curs_set(1);
	endwin();
	catch_resize(false);
	catch_crashes(false);
}

/* ---- in and out ---- */

int terminal_key(void)
{
	if (!resized)
		return getch();
	take_size();
	return KEY_RESIZE;
}

void terminal_size(int *height, int *width)
{
	getmaxyx(stdscr, *height, *width);
}

void terminal_clear(bool all)
{
	if (all)
		clearok(curscr, TRUE);
	erase();
}

void terminal_put(int y, int x, const struct line *l)
{
	size_t from = 0;

	move(y, x);
	for (size_t i = 1; i <= l->len; i++) {
		if (i < l->len && l->styles[i] == l->styles[from])
			continue;
		attrset(attrs[l->styles[from]]);
		addnstr(l->text + from, (int)(i - from));
		from = i;
	}
	attrset(A_NORMAL);
}

void terminal_refresh(void)
{
	refresh();
}
