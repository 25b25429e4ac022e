// SPDX-License-Identifier: LGPL-2.1-or-later
/* Logs libbpf's messages while it works for us, without taking the messages of other users in the process. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "lib/kernel/bpf_print.h"
#include "lib/log.h"

static _Thread_local struct uffdctl *printing; /* NULL: not for us */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the rest */
static unsigned int nr_printing;
static libbpf_print_fn_t others; /* read without the lock */

static int print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	libbpf_print_fn_t fn = __atomic_load_n(&others, __ATOMIC_ACQUIRE);
	char text[1024];

	if (!printing)
		return fn ? fn(level, fmt, args) : 0;
	/* libbpf's hint about limits is misleading for root. */
	if (level == LIBBPF_DEBUG || strstr(fmt, "ulimit"))
		return 0;
	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug(printing, "%s", text);
	return 0;
}

void bpf_print_begin(struct uffdctl *u)
{
	libbpf_print_fn_t fn;

	printing = u;
	pthread_mutex_lock(&lock);
	/* Do this each time: the caller may have set its own function meanwhile. */
	fn = libbpf_set_print(print);
	if (fn != print)
		__atomic_store_n(&others, fn, __ATOMIC_RELEASE);
	nr_printing++;
	pthread_mutex_unlock(&lock);
}

void bpf_print_end(void)
{
	libbpf_print_fn_t fn;

	pthread_mutex_lock(&lock);
	if (!--nr_printing) {
		fn = libbpf_set_print(others);
		/* Keep a function that the caller has set meanwhile. */
		if (fn != print)
			libbpf_set_print(fn);
	}
	pthread_mutex_unlock(&lock);
	printing = NULL;
}
