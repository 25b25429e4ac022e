/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names for the library's enumerations, as every output prints them. */
#ifndef CMD_NAMES_H
#define CMD_NAMES_H

#include "lib/uffdctl.h"

/* "read" or "write"; NULL: not known. */
const char *access_name(enum uffdctl_access access);
/* "queued" or "delivered"; NULL: not known. */
const char *wait_state_name(enum uffdctl_wait_state state);
/* As in smaps, by bit of UFFDCTL_MODE_*: "um", "uw", "ui", "ur"; NULL for any other. */
const char *mode_flag_name(unsigned int bit);

#endif
