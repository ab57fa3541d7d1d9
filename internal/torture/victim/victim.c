/*
 * Every service of the torture: "victim KIND RECORD", or both in one argument as a #! line has them.
 *
 * A run appends to RECORD what nobody else is asked: "S PID TIME" when it starts, "E PID TIME CODE"
 * when it ends by itself, "D PID OTHER" when another run of the same service is alive, which must
 * never be. For that each run has a POSIX lock on RECORD.lock for its life: those of a process go
 * with it, and its children do not have them. TIME is in nanoseconds by the monotonic clock. An instance
 * of a template has a RECORD of its own, with its number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int record;
static long lines; /* that a writer has written */
static volatile sig_atomic_t told;

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void say(const char *format, ...)
{
	char line[128];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (write(record, line, n) != n)
		_exit(111);
}

static void end(int code)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, 0);
	say("E %ld %lld %d %ld\n", (long)getpid(), now(), code, lines);
	_exit(code);
}

static void nap(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static void onterm(int sig) { (void)sig; end(7); }
static void onslow(int sig) { (void)sig; nap(300); end(8); }
static void ontold(int sig) { (void)sig; told = 1; }

static void handle(int sig, void (*handler)(int))
{
	struct sigaction a;

	memset(&a, 0, sizeof a);
	sigfillset(&a.sa_mask);
	a.sa_handler = handler;
	sigaction(sig, &a, 0);
}

/* claim says "S", or "D" if another run is alive. */
static void claim(const char *path)
{
	char name[4096];
	struct flock l;
	int fd;

	snprintf(name, sizeof name, "%s.lock", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	memset(&l, 0, sizeof l);
	l.l_type = F_WRLCK;
	if (fd >= 0 && fcntl(fd, F_SETLK, &l) == 0) {
		say("S %ld %lld\n", (long)getpid(), now());
		return;
	}
	l.l_type = F_WRLCK;
	if (fd < 0 || fcntl(fd, F_GETLK, &l) < 0)
		_exit(111);
	say("D %ld %ld\n", (long)getpid(), (long)l.l_pid);
	_exit(112);
}

/* helper leaves a process behind that ends on its own. */
static void helper(void)
{
	pid_t middle = fork();

	if (middle == 0) {
		if (fork() == 0) {
			nap(1500);
			_exit(0);
		}
		_exit(0);
	}
	while (waitpid(middle, 0, 0) < 0 && errno == EINTR)
		;
}

static void writer(void)
{
	char line[64];
	int n;

	for (;; nap(20)) {
		sigset_t all, old;

		n = snprintf(line, sizeof line, "%ld %ld\n", (long)getpid(), lines + 1);
		if (write(1, line, n) == n) {
			sigfillset(&all);
			sigprocmask(SIG_BLOCK, &all, &old);
			lines++;
			sigprocmask(SIG_SETMASK, &old, 0);
		}
	}
}

/* reader loses nothing unless it is killed: signals come in only while it waits. */
static void reader(const char *path, const sigset_t *open_mask)
{
	static char text[65536];
	char name[4096];
	struct pollfd in = {0, POLLIN, 0};
	int out;
	ssize_t n;

	snprintf(name, sizeof name, "%s.lines", path);
	out = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	while (!told) {
		if (ppoll(&in, 1, 0, open_mask) < 0)
			continue;
		n = read(0, text, sizeof text);
		if (n == 0)
			end(0);
		if (n > 0 && write(out, text, n) != n)
			_exit(111);
	}
	end(7);
}

static void live(const char *kind, const char *path)
{
	sigset_t all, none;

	sigfillset(&all);
	sigemptyset(&none);
	srand(getpid() ^ (unsigned)now());
	if (!strcmp(kind, "reader")) {
		static const int ending[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2};

		for (unsigned i = 0; i < sizeof ending / sizeof *ending; i++)
			handle(ending[i], ontold);
		reader(path, &none);
	}
	handle(SIGTERM, !strcmp(kind, "slow") ? onslow : onterm);
	if (!strcmp(kind, "deaf"))
		signal(SIGTERM, SIG_IGN);
	if (!strcmp(kind, "forker"))
		helper();
	sigprocmask(SIG_SETMASK, &none, 0);
	if (!strcmp(kind, "crash") || !strcmp(kind, "flapper"))
		nap(rand() % 30), end(1);
	if (!strcmp(kind, "once") || !strcmp(kind, "oneshot"))
		nap(rand() % 200), end(0);
	if (!strcmp(kind, "ready")) {
		nap(rand() % 50);
		if (write(3, "\n", 1) != 1)
			end(9);
	}
	if (!strcmp(kind, "short"))
		nap(900 + rand() % 300), end(0);
	if (!strcmp(kind, "writer"))
		writer();
	while (!strcmp(kind, "stopper"))
		nap(rand() % 1000), raise(SIGSTOP);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	char *kind = argc > 1 ? argv[1] : "", *path, *instance = getenv("SV_INSTANCE");
	static char own[4096];
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, 0);
	path = strchr(kind, ' ');
	if (path)
		*path++ = 0;
	else if (argc > 2)
		path = argv[2];
	else
		return 100;
	if (instance) {
		snprintf(own, sizeof own, "%s-%s", path, instance);
		path = own;
	}
	record = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (record < 0)
		return 111;
	if (!strcmp(kind, "finish") || !strcmp(kind, "hook")) {
		say("F %ld %lld\n", (long)getpid(), now());
		nap(20);
		return 0;
	}
	claim(path);
	live(kind, path);
}
