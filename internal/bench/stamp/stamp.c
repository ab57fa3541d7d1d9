/*
 * The service of the benchmark: it says when it started, and waits to be killed. It is C and
 * static, so that as little of what is measured as possible is its own.
 *
 * STAMPS is the path of the FIFO that the benchmark reads: one line a start, "NANOSECONDS PID
 * NAME", by the monotonic clock, and one a HUP; NAME is the service directory's. With a file notification-fd it says
 * that it is ready, on descriptor READY; with a file restart, which says never, it ends at once. With a file
 * "crash" it fails at once and says nothing; with "babble" it says without end that it is ready; with "lines" it
 * writes LINES bytes of lines to its standard output when a HUP comes, and its stamp after that.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define READY 3

static int stamp(void)
{
	char dir[4096], line[512];
	struct timespec now;
	const char *name;
	int fd, n;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!getcwd(dir, sizeof dir))
		return -1;
	name = strrchr(dir, '/') + 1;
	n = snprintf(line, sizeof line, "%lld %ld %s\n",
		(long long)now.tv_sec * 1000000000 + now.tv_nsec, (long)getpid(), name);
	fd = open(STAMPS, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || n >= (int)sizeof line || write(fd, line, n) != n)
		return -1;
	return close(fd);
}

static int spill(void)
{
	static char lines[64 * 128];
	long left;
	int i;

	for (i = 0; i < (int)sizeof lines; i++)
		lines[i] = i % 128 == 127 ? '\n' : 'a' + i % 26;
	for (left = LINES; left > 0; left -= sizeof lines)
		if (write(STDOUT_FILENO, lines, sizeof lines) != sizeof lines)
			return -1;
	return 0;
}

static void hangup(int sig)
{
	(void)sig;
	if (access("lines", F_OK) == 0 && spill() != 0)
		return;
	stamp(); /* between pauses */
}

int main(void)
{
	signal(SIGHUP, hangup);
	if (access("crash", F_OK) == 0)
		return 1;
	if (stamp() != 0)
		return 111;
	if (access("notification-fd", F_OK) == 0 && write(READY, "\n", 1) != 1)
		return 111;
	if (access("restart", F_OK) == 0)
		return 0;
	while (access("babble", F_OK) == 0 && write(READY, "\n", 1) == 1)
		;
	for (;;)
		pause();
}
