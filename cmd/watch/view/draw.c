// SPDX-License-Identifier: GPL-2.0-or-later
/* The view on the terminal: begin, draw, end. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/watch/view/draw.h"

/* Behind ours: its macros have names such as lines and columns. */
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

/* ---- the terminal ---- */

static struct termios saved;

bool view_usable(void)
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

/* As curses writes it; there is no terminfo capability for it. */
#define MOUSE_OFF "\033[?1000l"

/* Of strings alone that were made before: in a signal handler nothing else is safe. */
static char restoring[256];

static void prepare_restoring(void)
{
	const char *const parts[] = { keypad_local, exit_attribute_mode, cursor_normal, exit_ca_mode,
				      key_mouse ? MOUSE_OFF : NULL };

	size_t len = 0, n;

	restoring[0] = '\0';
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		n = parts[i] ? strlen(parts[i]) : 0;
		/* Those with pauses in them are of terminals long gone. */
		if (!n || len + n >= sizeof(restoring) || strstr(parts[i], "$<"))
			continue;
		memcpy(restoring + len, parts[i], n + 1);
		len += n;
	}
}

/* A crash leaves a terminal that one can go on with. */
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

/*
 * A terminal may say any size up to 65535, and ncurses counts in short: it crashes when one of more than
 * SHRT_MAX lines is told to it. So it is never told, but by us: as much as there is something to show for.
 */
#define MAX_HEIGHT 1024
#define MAX_WIDTH LINE_COLS

static volatile sig_atomic_t resized;

static void on_resize(int sig)
{
	(void)sig;
	resized = 1;
}

/* The terminal's word, else the user's, else what one of its type has. */
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

int screen_begin(bool color)
{
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	use_env(FALSE);
	/* With a handler that is there, ncurses sets none. */
	catch_resize(true);
	if (!initscr())
		return -EIO;
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

void screen_end(void)
{
	mousemask(0, NULL);
	curs_set(1);
	endwin();
	catch_resize(false);
	catch_crashes(false);
}

int screen_key(void)
{
	if (!resized)
		return getch();
	take_size();
	return KEY_RESIZE;
}

/* ---- drawing ---- */

static void draw_line(int y, int x, const struct line *l)
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

static void draw_text(const struct view *v, int y, int x, int width, enum style style, const char *text)
{
	struct line l;

	line_init(&l, width, v->utf8);
	line_field(&l, style, text, width, false);
	draw_line(y, x, &l);
}

static void draw_row(const struct view *v, enum pane p, int i, size_t row)
{
	const struct box *b = &v->layout.panes[p];
	struct line l;

	line_init(&l, b->width, v->utf8);
	pane_row(v, p, row, b->width, &l);
	if (row == v->cursors[p].at && v->focus == p) {
		line_to(&l, STYLE_PLAIN, b->width, " ");
		line_restyle(&l, STYLE_SELECTED);
	} else if (row == v->cursors[p].at && v->control && p == PANE_WAIT) {
		/* c works on it from everywhere. */
		line_restyle(&l, STYLE_STRONG);
	}
	draw_line(b->y + 1 + b->heads + i, b->x, &l);
}

static void draw_pane(const struct view *v, enum pane p)
{
	const struct box *b = &v->layout.panes[p];
	size_t nr = pane_rows(v, p), top = v->cursors[p].top;
	struct line l;

	if (!b->height)
		return;
	line_init(&l, b->width, v->utf8);
	pane_title(v, p, b->width, &l);
	draw_line(b->y, b->x, &l);
	if (b->heads) {
		line_init(&l, b->width, v->utf8);
		pane_heads(v, p, b->width, &l);
		draw_line(b->y + 1, b->x, &l);
	}
	for (int i = 0; i < box_rows(b) && top + (size_t)i < nr; i++)
		draw_row(v, p, i, top + (size_t)i);
}

static void draw_histogram(const struct view *v)
{
	const struct box *b = &v->layout.panes[PANE_HISTOGRAM];
	bool beside = b->x > 0;
	struct line l;

	for (int i = 0; i < b->height; i++) {
		line_init(&l, b->width, v->utf8);
		if (i == 0 && beside)
			line_add(&l, STYLE_DIM, v->utf8 ? "┬" : "+");
		else if (beside)
			line_add(&l, STYLE_DIM, v->utf8 ? "│" : "|");
		if (i == 0)
			pane_title(v, PANE_HISTOGRAM, b->width, &l);
		else
			histogram_line(v, i - 1, b->height - 1, b->width - beside, &l);
		draw_line(b->y + i, b->x, &l);
	}
}

static void draw_bottom(const struct view *v)
{
	int y = v->layout.height - 1, width = v->layout.width;
	char prompt[VIEW_PROMPT + 16];
	struct line l;

	if (*v->message && v->mode == MODE_NORMAL)
		draw_text(v, y - 1, 0, width, v->message_bad ? STYLE_BAD : STYLE_PROMPT, v->message);
	if (v->mode == MODE_SEARCH || v->mode == MODE_FILTER) {
		snprintf(prompt, sizeof(prompt), "%s: %s_", v->mode == MODE_SEARCH ? "Search" : "Filter",
			 v->mode == MODE_SEARCH ? v->search : v->filter);
		draw_text(v, y, 0, width, STYLE_PROMPT, prompt);
		return;
	}
	line_init(&l, width, v->utf8);
	keys_bar(v, width, &l);
	draw_line(y, 0, &l);
}

static void draw_help(const struct view *v)
{
	size_t nr = keys_help_lines(v);
	int room = v->layout.height - 2;
	struct line l;

	draw_text(v, 0, 0, v->layout.width, STYLE_TITLE, "uffdctl watch: keys");
	for (int i = 0; i < room && v->help_top + (size_t)i < nr; i++) {
		line_init(&l, v->layout.width, v->utf8);
		keys_help_line(v, v->help_top + (size_t)i, v->layout.width, &l);
		draw_line(1 + i, 0, &l);
	}
	draw_text(v, v->layout.height - 1, 0, v->layout.width, STYLE_PROMPT,
		  (size_t)room < nr ? "arrows: more   any other key: back" : "any key: back");
}

/* A box in the middle, of so many lines. */
static void draw_box(const struct view *v, int width, int nr, int *y, int *x)
{
	*y = (v->layout.height - nr - 2) / 2;
	*x = (v->layout.width - width) / 2;
	for (int i = -1; i <= nr; i++)
		draw_text(v, *y + 1 + i, *x, width, STYLE_PROMPT, "");
	*y += 1;
}

static void draw_menu(const struct view *v)
{
	int nr = 1, x, y, i = 0;

	for (int c = 0; c < table_columns(); c++)
		nr += column_is_there(v, c);
	/* On the smallest screen the list is as high as the screen. */
	draw_box(v, 24, nr < v->layout.height - 2 ? nr : v->layout.height - 2, &y, &x);
	draw_text(v, y, x + 1, 22, STYLE_PROMPT, "Sort by");
	for (int c = 0; c < table_columns(); c++)
		if (column_is_there(v, c))
			draw_text(v, y + 1 + i++, x + 2, 20, c == v->menu ? STYLE_STRONG : STYLE_PROMPT,
				  column_name(v, c));
}

static void draw_question(const struct view *v)
{
	int x, y, width = 0, w;

	for (size_t i = 0; i < v->nr_question; i++) {
		w = text_width(v->question[i], v->utf8) + 4;
		width = w > width ? w : width;
	}
	width = width < v->layout.width ? width : v->layout.width;
	draw_box(v, width, (int)v->nr_question + 2, &y, &x);
	for (size_t i = 0; i < v->nr_question; i++)
		draw_text(v, y + (int)i, x + 2, width - 4, STYLE_PROMPT, v->question[i]);
	draw_text(v, y + (int)v->nr_question + 1, x + 2, width - 4, STYLE_PROMPT, "y: yes   any other key: no");
}

static void draw_too_small(const struct view *v)
{
	char text[64];

	snprintf(text, sizeof(text), "%dx%d: too small", v->layout.width, v->layout.height);
	draw_text(v, 0, 0, v->layout.width, STYLE_PLAIN, text);
	snprintf(text, sizeof(text), "needs %dx%d, or q", VIEW_MIN_WIDTH, VIEW_MIN_HEIGHT);
	if (v->layout.height > 1)
		draw_text(v, 1, 0, v->layout.width, STYLE_PLAIN, text);
}

static void draw_all(const struct view *v)
{
	struct line l;

	for (int y = 0; y < VIEW_HEADER; y++) {
		line_init(&l, v->layout.width, v->utf8);
		header_line(v, y, v->layout.width, &l);
		draw_line(y, 0, &l);
	}
	for (int p = 0; p < NR_SCROLLING; p++)
		draw_pane(v, p);
	draw_histogram(v);
	draw_bottom(v);
	if (v->mode == MODE_SORT)
		draw_menu(v);
	else if (v->mode == MODE_CONFIRM)
		draw_question(v);
}

void screen_draw(struct view *v, bool all)
{
	int height, width;

	getmaxyx(stdscr, height, width);
	layout_make(width, height, v->nr_heat, v->log, &v->layout);
	if (!v->layout.too_small && !v->layout.panes[v->focus].height)
		v->focus = PANE_TABLE;
	cursors_settle(v);
	if (all)
		clearok(curscr, TRUE);
	erase();
	if (v->layout.too_small)
		draw_too_small(v);
	else if (v->mode == MODE_HELP)
		draw_help(v);
	else
		draw_all(v);
	refresh();
}
