/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzz targets share. */
#ifndef UFFDCTL_FUZZ_H
#define UFFDCTL_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert(), there with NDEBUG too. */
#define ENSURE(cond) ((cond) ? (void)0 : abort())

/* The input as a string of its own, so that reading past its end is seen. */
static inline char *text_of(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	ENSURE(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

static inline bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

#endif
