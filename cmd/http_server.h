/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server of /metrics: numbers for Prometheus by HTTP, made anew for each request. */
#ifndef CMD_HTTP_SERVER_H
#define CMD_HTTP_SERVER_H

#include <stdbool.h>
#include <stdio.h>

#include "cmd/messages.h"

struct http_server;

struct http_metrics {
	const char *other;		 /* what other pages have */
	int (*put)(FILE *f, void *data); /* a negative errno: there are none now */
	void *data;
};

#define HTTP_ADDRESS "PORT, ADDRESS:PORT or [ADDRESS]:PORT"
bool is_http_address(const char *arg);

/*
 * @has_thread: put is called in a thread of the server; otherwise within http_server_wait()
 * 0 or a negative errno, reported.
 */
int http_server_new(const char *address, const struct http_metrics *metrics, bool has_thread, struct messages *m,
		    struct http_server **ret);
/* Then put is called no more. NULL: does nothing. */
void http_server_free(struct http_server *s);
/* Without a thread: answer requests for so long. -EIO. */
int http_server_wait(struct http_server *s, int timeout_ms);

#endif
