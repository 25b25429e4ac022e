// SPDX-License-Identifier: GPL-2.0-or-later
/* Ctrl-C and the like. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "cmd/interrupt.h"
#include "lib/util.h"

/* A signal handler gets no argument, so this can't be in a struct of the command. Atomic: any thread may ask. */
static int has_come;
static uint64_t first_ns;
static struct {
	void (*fn)(void *data);
	void *data;
} on_interrupt;

/* timeout(1) sends its signal to the command and to the group that it is in: what comes so soon is the same one. */
#define SAME_NS UINT64_C(500000000)

/* The second one kills us. */
static bool is_second(int sig)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC), first = 0;

	if (__atomic_compare_exchange_n(&first_ns, &first, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
	    now - first < SAME_NS)
		return false;
	signal(sig, SIG_DFL);
	raise(sig);
	return true;
}

static void on_signal(int sig)
{
	void (*fn)(void *data) = __atomic_load_n(&on_interrupt.fn, __ATOMIC_ACQUIRE);

	if (is_second(sig))
		return;
	__atomic_store_n(&has_come, 1, __ATOMIC_RELAXED);
	if (fn)
		fn(on_interrupt.data);
}

void interrupts_catch(bool changes_nothing)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		struct sigaction old;

		/*
		 * A signal that was ignored, as by nohup, stays ignored. But a script's shell ignores SIGINT for
		 * commands in the background, and there kill -INT is the way to end a command that only inspects.
		 */
		if (sigaction(sigs[i], NULL, &old) == 0 &&
		    (old.sa_handler != SIG_IGN || (changes_nothing && sigs[i] == SIGINT)))
			sigaction(sigs[i], &sa, NULL);
	}
}

static pid_t forward_to;

static void on_forward(int sig, siginfo_t *si, void *context)
{
	pid_t pid = __atomic_load_n(&forward_to, __ATOMIC_ACQUIRE);
	int saved = errno;

	(void)context;
	if (pid && si->si_code != SI_KERNEL)
		kill(pid, sig);
	errno = saved;
}

void interrupts_forward(pid_t pid)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct sigaction sa = { .sa_sigaction = on_forward, .sa_flags = SA_RESTART | SA_SIGINFO };

	__atomic_store_n(&forward_to, pid, __ATOMIC_RELEASE);
	for (size_t i = 0; pid && i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		struct sigaction old;

		if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(sigs[i], &sa, NULL);
	}
	/* One that came before, when nothing was to be handed on yet. */
	if (pid && __atomic_exchange_n(&has_come, 0, __ATOMIC_RELAXED))
		kill(pid, SIGTERM);
}

void interrupts_ignore_stop(void)
{
	signal(SIGTSTP, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
}

void interrupts_call(void (*fn)(void *data), void *data)
{
	if (fn)
		on_interrupt.data = data;
	__atomic_store_n(&on_interrupt.fn, fn, __ATOMIC_RELEASE);
	if (fn && interrupted())
		fn(data);
}

bool interrupted(void)
{
	return __atomic_load_n(&has_come, __ATOMIC_RELAXED);
}
