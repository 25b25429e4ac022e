/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library for HTTP. */
#ifndef CMD_HTTP_H
#define CMD_HTTP_H

#include <microhttpd.h>

#define HTTP_LIBRARY "libmicrohttpd.so.12"
#define HTTP_REMEDY "apt-get install libmicrohttpd12"

/* Loaded when it is needed: it brings a library for TLS, and every start of uffdctl would take twice as long. */
struct http_library {
	void *handle;
	__typeof__(MHD_start_daemon) *start;
	__typeof__(MHD_stop_daemon) *stop;
	__typeof__(MHD_run_wait) *run_wait;
	__typeof__(MHD_create_response_from_buffer) *create_response;
	__typeof__(MHD_add_response_header) *add_header;
	__typeof__(MHD_queue_response) *queue_response;
	__typeof__(MHD_destroy_response) *destroy_response;
};

#define HTTP_WHY 256

/* -ENOENT: it is not there, or lacks something; why says what. */
int http_load(struct http_library *ret, char why[HTTP_WHY]);
void http_unload(struct http_library *lib);

#endif
