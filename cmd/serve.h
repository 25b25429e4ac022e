/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What others than serve need of its options. */
#ifndef CMD_SERVE_H
#define CMD_SERVE_H

extern const char *const on_error_words[]; /* ended by NULL */

#endif
