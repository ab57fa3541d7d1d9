/* Restarts a service and waits until it is ready: commands and events over one socket, by poll(2).
 *   cc -o restart restart.c && ./restart /service/.svscan/control.sock web
 * Exit status: 0 restarted, 1 the hub says no, 111 a system error. README.md explains the steps. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *service;
static char epoch[64]; /* the cursor: of which journal we have seen which event; last is the newest at the hello */
static unsigned long long seq, last;
static int asked, heard; /* asked: 1 over a connection that was lost, 2 over this. heard: 1 command, 2 ready */

/* The value of a key, as text. A quote inside of a JSON string has a backslash before it, so that
 * "key": is never a part of one. A program that needs more than this takes a JSON library. */
static const char *value(const char *line, const char *key)
{
	static char text[256], find[32];
	int n = snprintf(find, sizeof find, "\"%s\":", key);
	const char *at = strstr(line, find), *end = ",}";
	if (!at) return "";
	if (*(at += n) == '"') at++, end = "\"";
	snprintf(text, sizeof text, "%.*s", (int)strcspn(at, end), at);
	return text;
}
static int is(const char *line, const char *key, const char *what) { return !strcmp(value(line, key), what); }

static void handle(int fd, const char *line)
{
	int ours = is(line, "service", service);
	int end = is(line, "event", "answer") || is(line, "event", "error");
	if (ours || end) puts(line);
	if (end) exit(!is(line, "ok", "true"));
	if (is(line, "event", "hello")) { /* answered with where to go on; the first time, the hub tells the states */
		dprintf(fd, *epoch ? "{\"after\":%llu,\"epoch\":\"%s\"}\n" : "{}\n", seq, epoch);
		if (!is(line, "epoch", epoch)) seq = 0; /* another journal counts anew */
		snprintf(epoch, sizeof epoch, "%s", value(line, "epoch"));
		last = strtoull(value(line, "last"), NULL, 10);
	} else if (!is(line, "event", "state") && *value(line, "seq"))
		seq = strtoull(value(line, "seq"), NULL, 10); /* not of a state: that is an old event's */
	if (ours && asked && is(line, "event", "command") && is(line, "command", "restart")) heard = 1;
	if (ours && heard && is(line, "event", "ready")) heard = 2;
	if (asked == 1 && heard == 2) exit(0); /* the hub that owed us the answer is dead */
	if (asked < 2 && !heard && seq >= last) { /* we know all that was, and our restart is not in it */
		dprintf(fd, "{\"id\":1,\"do\":\"restart\",\"service\":[\"%s\"],\"wait\":\"R\"}\n", service);
		asked = 2;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (argc != 3 || strlen(argv[1]) >= sizeof to.sun_path || strpbrk(service = argv[2], "\"\\"))
		return fprintf(stderr, "usage: restart SOCKET SERVICE (of at most %zu bytes; without \" and \\)\n", sizeof to.sun_path - 1), 100;
	strcpy(to.sun_path, argv[1]);
	signal(SIGPIPE, SIG_IGN); /* what cannot be sent is noticed when we read */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;; poll(NULL, 0, 100)) { /* once for each connection, with a pause before the next */
		static char buf[65536];   /* no line of a hub is longer */
		struct pollfd p = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .events = POLLIN};
		int up = connect(p.fd, (struct sockaddr *)&to, sizeof to) == 0;
		if (!up && (p.fd < 0 || !*epoch)) return perror(argv[1]), 111;
		for (size_t len = 0; up && len < sizeof buf;) { /* a program with more descriptors has them beside p */
			ssize_t n = poll(&p, 1, -1) < 0 ? -1 : read(p.fd, buf + len, sizeof buf - len);
			if (n < 0 && errno == EINTR) continue;
			if (n <= 0) break;
			char *line = buf, *end; /* what is behind the last newline is the beginning of a line */
			for (len += n; (end = memchr(line, '\n', buf + len - line)); line = end + 1) *end = 0, handle(p.fd, line);
			memmove(buf, line, len -= line - buf);
		}
		if (up) fprintf(stderr, "the hub has gone; waiting for it after event %llu\n", seq);
		close(p.fd);
		if (asked) asked = 1;
	}
}
