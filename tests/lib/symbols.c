// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of symbols: what an instruction is in, by ELF files and perf maps. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/kernel/proc.h"
#include "lib/symbols/perfmap.h"
#include "tests/lib/folder.h"
#include "tests/lib/logged.h"
#include "tests/unit.h"

/* ---- what compilers say of their code ---- */

/* "name+offset", or NULL. */
static const char *perfmap_text(const struct perfmap *m, uint64_t addr)
{
	const struct perfmap_entry *e = perfmap_find(m, addr);
	static char buf[128];

	if (!e)
		return NULL;
	snprintf(buf, sizeof(buf), "%.*s+%" PRIu64, (int)e->name_len, m->text + e->name, addr - e->start);
	return buf;
}

TEST("perfmap-lines")
{
	static const char text[] = "1000 10 a\n0x2000 0x10 b c \r\n3000 0 none\n3000 10\nxyz 10 n\n3000  10  d\n"
				   "ffffffffffffffff 2 over\n\n 4000 10 e\n1008 4 later\n5000 10 part";
	struct perfmap m = {};

	NUM(perfmap_add(&m, text, sizeof(text) - 1), sizeof(text) - 1 - strlen("5000 10 part"));
	NUM(m.nr, 4);
	STR(perfmap_text(&m, 0x1000), "a+0");
	STR(perfmap_text(&m, 0x100b), "later+3");
	STR(perfmap_text(&m, 0x100f), "a+15");
	STR(perfmap_text(&m, 0x1010), NULL);
	STR(perfmap_text(&m, 0x2001), "b c +1");
	STR(perfmap_text(&m, 0x3000), "d+0");
	STR(perfmap_text(&m, 0x5000), NULL);
	NUM(perfmap_add(&m, "5000 10 whole\n", 14), 14);
	STR(perfmap_text(&m, 0x5000), "whole+0");
	STR(perfmap_text(&m, 0x1000), "a+0");
	NUM(perfmap_add(&m, "no line", 7), 0);
	NUM(perfmap_add(&m, "", 0), 0);
	perfmap_clear(&m);
	OK(!perfmap_find(&m, 0x1000));
}

/* ---- instructions to text ---- */

static const char *symbol(struct uffdctl_symbols *s, pid_t pid, const void *ip)
{
	const char *text = NULL;
	int r = uffdctl_symbols_get(s, pid, (uintptr_t)ip, 10000, &text);

	return r == -ESRCH ? "ESRCH" : r == -ENOENT ? "ENOENT" : r < 0 ? "error" : text;
}

static struct uffdctl_symbols *new_symbols(struct uffdctl *u, unsigned int flags)
{
	struct uffdctl_symbols *s;

	if (uffdctl_symbols_new(u, flags, &s) < 0)
		abort();
	return s;
}

/* The helper library, or a copy of it, and its function. */
static void *arena(const char *copy, void **function)
{
	char path[4096], command[8300];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	void *lib;

	path[n > 0 ? n : 0] = '\0';
	strcpy(strrchr(path, '/'), "/../helpers/libarena.so.1");
	if (copy) {
		snprintf(command, sizeof(command), "cp '%s' %s", path, copy);
		NUM(system(command), 0);
	}
	lib = dlopen(copy ?: path, RTLD_NOW);
	*function = lib ? dlsym(lib, "touch_hidden_pool") : NULL;
	OK(*function);
	return lib;
}

TEST("symbols-program")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0), *lines = new_symbols(u, UFFDCTL_SYMBOLS_LINES);
	const char *text = "none";

	NUM(uffdctl_symbols_get(s, getpid(), (uintptr_t)check_num, 0, &text), -EAGAIN);
	STR(text, "none");
	STR(symbol(s, getpid(), check_num), "check_num+0x0 (symbols)");
	STR(symbol(s, getpid(), (char *)check_num + 3), "check_num+0x3 (symbols)");
	NUM(uffdctl_symbols_get(s, getpid(), (uintptr_t)check_num, 0, &text), 0);
	STR(text, "check_num+0x0 (symbols)");
	PART(symbol(lines, getpid(), check_num), "check_num+0x0 (symbols) unit.h:");
	STR(symbol(s, getpid(), NULL), "ENOENT");
	STR(symbol(s, getpid(), logged), "ENOENT");
	STR(symbol(s, INT32_MAX, check_num), "ESRCH");
	STR(symbol(s, 0, check_num), "ESRCH");
	NUM(nr_logged, 0);
	uffdctl_symbols_free(lines);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-library")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, UFFDCTL_SYMBOLS_LINES);
	void *function, *lib = arena(NULL, &function);

	PART(symbol(s, getpid(), function), "touch_hidden_pool+0x0 (libarena.so.1) libarena.c:");
	if (lib)
		dlclose(lib);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-deleted")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	int dir = dir_make();
	char path[96];
	void *function, *lib;

	snprintf(path, sizeof(path), "%s/libcopy.so", dir_path);
	lib = arena(path, &function);
	NUM(unlink(path), 0);
	/* map_files takes CAP_CHECKPOINT_RESTORE. */
	PART(symbol(s, getpid(), function), geteuid() ? "(libcopy.so)" : "touch_hidden_pool+0x0 (libcopy.so)");
	if (lib)
		dlclose(lib);
	dir_remove(dir);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-vdso")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	char *vdso = (char *)getauxval(AT_SYSINFO_EHDR);
	bool found = !vdso;

	for (int i = 0; !found && i < 512; i++) {
		const char *text = symbol(s, getpid(), vdso + i * 16);

		found = strstr(text, "_gettime") && strstr(text, " ([vdso])");
	}
	OK(found);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-compiled")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	char *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char path[64], want[96];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	STR(symbol(s, getpid(), code), "ENOENT");
	f = fopen(path, "w");
	if (!f)
		abort();
	fprintf(f, "%" PRIxPTR " 20 LazyCompile:~f x.js:1\n", (uintptr_t)code);
	fflush(f);
	snprintf(want, sizeof(want), "LazyCompile:~f x.js:1+0x1f (perf-%d.map)", getpid());
	STR(symbol(s, getpid(), code + 0x1f), want);
	STR(symbol(s, getpid(), code + 0x20), "ENOENT");
	fprintf(f, "%" PRIxPTR " 20 g\n", (uintptr_t)code + 0x20);
	fclose(f);
	snprintf(want, sizeof(want), "g+0x1 (perf-%d.map)", getpid());
	STR(symbol(s, getpid(), code + 0x21), want);
	/* What is no regular file is neither waited for nor followed. */
	NUM(unlink(path), 0);
	NUM(mkfifo(path, 0600), 0);
	STR(symbol(s, getpid(), code + 2), "ENOENT");
	NUM(unlink(path), 0);
	NUM(symlink("/etc/passwd", path), 0);
	STR(symbol(s, getpid(), code + 3), "ENOENT");
	NUM(unlink(path), 0);
	munmap(code, 4096);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

/* A process that gets another program when a byte comes from *go. */
static pid_t fork_waiting(int *go)
{
	int fds[2];
	pid_t pid;
	char c;

	NUM(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[1]);
		if (read(fds[0], &c, 1) == 1)
			execlp("sleep", "sleep", "100", NULL);
		_exit(0);
	}
	close(fds[0]);
	*go = fds[1];
	return pid;
}

TEST("symbols-ended")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	int go;
	pid_t pid = fork_waiting(&go);

	STR(symbol(s, pid, check_num), "check_num+0x0 (symbols)");
	close(go);
	NUM(waitpid(pid, NULL, 0), pid);
	STR(symbol(s, pid, check_str), "ESRCH");
	usleep(10000);
	STR(symbol(s, pid, check_num), "check_num+0x0 (symbols)");
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-exec")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	int go;
	pid_t pid = fork_waiting(&go);
	char comm[16] = "";
	int proc;

	NUM(proc_open_dir(pid, &proc), 0);
	STR(symbol(s, pid, check_num), "check_num+0x0 (symbols)");
	NUM(write(go, "x", 1), 1);
	for (int i = 0; i < 500 && strcmp(comm, "sleep\n"); i++) {
		usleep(10000);
		proc_read(proc, "comm", comm, sizeof(comm));
	}
	OK(strcmp(symbol(s, pid, check_num), "check_num+0x0 (symbols)") != 0);
	close(go);
	close(proc);
	kill(pid, SIGKILL);
	NUM(waitpid(pid, NULL, 0), pid);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

/* More processes and addresses than are kept: the oldest are looked up again. */
TEST("symbols-bounded")
{
	enum { NR = 80 };
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	pid_t pids[NR];
	int go[NR];

	for (int i = 0; i < NR; i++)
		pids[i] = fork_waiting(&go[i]);
	for (int i = 0; i < 2 * NR; i++)
		STR(symbol(s, pids[i % NR], check_num), "check_num+0x0 (symbols)");
	for (uintptr_t i = 0; i < 40000; i++)
		STR(symbol(s, getpid(), (const void *)i), "ENOENT");
	STR(symbol(s, pids[0], check_num), "check_num+0x0 (symbols)");
	for (int i = 0; i < NR; i++)
		close(go[i]);
	for (int i = 0; i < NR; i++)
		NUM(waitpid(pids[i], NULL, 0), pids[i]);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-flags")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = NULL;

	NUM(uffdctl_symbols_new(u, 1 << 5, &s), -EINVAL);
	OK(!s);
	PART(logged, "0x20");
	uffdctl_free(u);
}
