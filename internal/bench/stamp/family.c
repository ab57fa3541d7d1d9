/*
 * A service of several processes: it starts CHILDREN that do nothing, and becomes PROGRAM. They end with it.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(void)
{
	pid_t self = getpid();
	int i;

	for (i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 111;
		if (pid > 0)
			continue;
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != self)
			return 111;
		for (;;)
			pause();
	}
	execl(PROGRAM, PROGRAM, (char *)0);
	return 111;
}
