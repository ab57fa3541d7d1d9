/* forker [PIDFILE [late]]: a daemon as they are in books: it forks twice, writes its pid, and starts a worker. HUP: it
 * says so; USR1: it fails; TERM: it ends, and its worker with it. late: it forks once, its parent writes its pid, and
 * it waits for HUP before it makes a session of its own. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void put(const char *name, const char *how, int n)
{
	char fresh[256];
	snprintf(fresh, sizeof fresh, "%s%s", name, *how == 'a' ? "" : ".new");
	FILE *f = fopen(fresh, how);
	if (!f || fprintf(f, "%d\n", n) < 0 || fclose(f))
		exit(9);
	if (*how != 'a')
		rename(fresh, name);
}

int main(int argc, char **argv)
{
	sigset_t set;
	int sig;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int late = argc > 2;
	pid_t child = fork();
	if (child && late)
		put(argv[1], "w", child);
	if (child)
		_exit(0);
	if (late)
		sigwait(&set, &sig);
	setsid();
	if (!late && fork())
		_exit(0);
	pid_t worker = fork();
	if (!worker) {
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		for (;;)
			pause();
	}
	put("worker", "w", worker);
	put("daemons", "a", getpid());
	if (argc == 2)
		put(argv[1], "w", getpid());
	put("daemon", "w", getpid());
	for (;;) {
		sigwait(&set, &sig);
		if (sig == SIGHUP) {
			FILE *f = fopen("said", "a");
			if (f) {
				fputs("HUP\n", f);
				fclose(f);
			}
			continue;
		}
		kill(worker, SIGKILL);
		waitpid(worker, NULL, 0);
		_exit(sig == SIGUSR1 ? 7 : 0);
	}
}
