// SPDX-License-Identifier: GPL-2.0-or-later
/* The library for HTTP. */
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "cmd/http.h"

static const struct {
	const char *name;
	size_t at;
} functions[] = {
	{ "MHD_start_daemon", offsetof(struct http_library, start) },
	{ "MHD_stop_daemon", offsetof(struct http_library, stop) },
	{ "MHD_run_wait", offsetof(struct http_library, run_wait) },
	{ "MHD_create_response_from_buffer", offsetof(struct http_library, create_response) },
	{ "MHD_add_response_header", offsetof(struct http_library, add_header) },
	{ "MHD_queue_response", offsetof(struct http_library, queue_response) },
	{ "MHD_destroy_response", offsetof(struct http_library, destroy_response) },
};

int http_load(struct http_library *ret, char why[HTTP_WHY])
{
	ret->handle = dlopen(HTTP_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; ret->handle && i < sizeof(functions) / sizeof(functions[0]); i++) {
		void **f = (void **)((char *)ret + functions[i].at);

		*f = dlsym(ret->handle, functions[i].name);
		if (*f)
			continue;
		snprintf(why, HTTP_WHY, "it has no %s", functions[i].name);
		http_unload(ret);
		return -ENOENT;
	}
	if (!ret->handle)
		snprintf(why, HTTP_WHY, "%s", dlerror() ?: "unknown error");
	return ret->handle ? 0 : -ENOENT;
}

void http_unload(struct http_library *lib)
{
	if (lib->handle)
		dlclose(lib->handle);
	lib->handle = NULL;
}
