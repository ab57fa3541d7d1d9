/* Restarts a service and waits until it is ready: commands and events over one socket, in GLib's
 * main loop, beside whatever else that loop has to do.
 *
 *   cc -o restart-glib restart-glib.c $(pkg-config --cflags --libs glib-2.0)
 *   ./restart-glib /service/.svscan/control.sock web
 *
 * Exit status: 0 restarted, 1 the hub says no, 111 a system error. README.md explains the steps. */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LONGEST = 65536, RETRY_MS = 100 }; /* no line of a hub is longer */

typedef struct {
	GMainLoop *loop;
	struct sockaddr_un address;
	const char *service;
	int fd, status;
	GString *in; /* what has been read and is not yet a line */

	char *epoch;      /* the cursor: the journal that we know, */
	guint64 seq, last; /* the last event that we have seen of it; the newest one at the hub's hello */
	gboolean asked;   /* over any connection */
	gboolean waiting; /* for the answer, over this connection */
	gboolean taken;   /* the events say that supervise has our command, */
	gboolean ready;   /* and that the service is ready again */
} Restart;

/* The value of a key, as text. A quote inside of a JSON string has a backslash before it, so that
 * "key": is never a part of one. A program that needs more than this takes json-glib. */
static char *value(const char *line, const char *key)
{
	g_autofree char *find = g_strdup_printf("\"%s\":", key);
	const char *at = strstr(line, find), *end = ",}";
	if (!at) return g_strdup("");
	if (*(at += strlen(find)) == '"') at++, end = "\"";
	return g_strndup(at, strcspn(at, end));
}

static gboolean is(const char *line, const char *key, const char *what)
{
	g_autofree char *got = value(line, key);
	return g_str_equal(got, what);
}

static guint64 number(const char *line, const char *key)
{
	g_autofree char *got = value(line, key);
	return g_ascii_strtoull(got, NULL, 10);
}

/* Sends one line. That it could not be sent is noticed when we read. */
static G_GNUC_PRINTF(2, 3) void say(Restart *r, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vdprintf(r->fd, format, args);
	va_end(args);
}

static void finish(Restart *r, int status)
{
	r->status = status;
	g_main_loop_quit(r->loop);
}

/* Says where to go on; the first time nothing, and the hub tells the states. */
static void hello(Restart *r, const char *line)
{
	if (r->epoch) say(r, "{\"after\":%" G_GUINT64_FORMAT ",\"epoch\":\"%s\"}\n", r->seq, r->epoch);
	else say(r, "{}\n");
	if (!r->epoch || !is(line, "epoch", r->epoch)) r->seq = 0; /* another journal counts anew */
	g_free(r->epoch);
	r->epoch = value(line, "epoch");
	r->last = number(line, "last");
}

/* Prints what happens to our service, and notes what that means for our restart. */
static void note(Restart *r, const char *line)
{
	puts(line);
	if (r->asked && is(line, "event", "command") && is(line, "command", "restart")) r->taken = TRUE;
	if (r->taken && is(line, "event", "ready")) r->ready = TRUE;
}

static void handle(Restart *r, const char *line)
{
	if (is(line, "event", "answer") || is(line, "event", "error")) {
		puts(line);
		finish(r, is(line, "ok", "true") ? 0 : 1);
		return;
	}
	guint64 seq = is(line, "event", "state") ? 0 : number(line, "seq"); /* a state's is an old event's */
	if (is(line, "event", "hello")) hello(r, line);
	else if (seq > 0) r->seq = seq;
	if (is(line, "service", r->service)) note(r, line);
	if (r->ready && !r->waiting) {
		finish(r, 0); /* the hub that owed us the answer is dead */
	} else if (!r->waiting && !r->taken && r->seq >= r->last) {
		r->asked = r->waiting = TRUE; /* we know all that was, and our restart is not in it */
		say(r, "{\"id\":1,\"do\":\"restart\",\"service\":[\"%s\"],\"wait\":\"R\"}\n", r->service);
	}
}

static gboolean on_retry(gpointer data);

/* The main loop calls this when there is something to read, also the end. */
static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
	(void)condition; /* read tells more */
	Restart *r = data;
	char buf[4096], *end;
	ssize_t n = read(fd, buf, sizeof buf);
	if (n < 0 && (errno == EINTR || errno == EAGAIN)) return G_SOURCE_CONTINUE;
	if (n <= 0 || r->in->len > LONGEST) {
		g_printerr("the hub has gone; waiting for it after event %" G_GUINT64_FORMAT "\n", r->seq);
		close(fd);
		g_timeout_add(RETRY_MS, on_retry, r);
		return G_SOURCE_REMOVE;
	}
	g_string_append_len(r->in, buf, n);
	while ((end = memchr(r->in->str, '\n', r->in->len))) {
		*end = '\0';
		handle(r, r->in->str);
		g_string_erase(r->in, 0, end + 1 - r->in->str);
	}
	return G_SOURCE_CONTINUE;
}

/* Connects, and has the main loop watch the descriptor. */
static gboolean connect_to_hub(Restart *r)
{
	r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r->fd < 0) return FALSE;
	if (connect(r->fd, (struct sockaddr *)&r->address, sizeof r->address) < 0) {
		int why = errno;
		close(r->fd);
		errno = why;
		return FALSE;
	}
	r->waiting = FALSE;
	g_string_truncate(r->in, 0); /* half a line is the last word of a hub that was killed */
	g_unix_fd_add(r->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, r);
	return TRUE;
}

static gboolean on_retry(gpointer data) { return connect_to_hub(data) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE; }

int main(int argc, char **argv)
{
	Restart r = {.address = {.sun_family = AF_UNIX}};
	if (argc != 3 || strlen(argv[1]) >= sizeof r.address.sun_path || strpbrk(argv[2], "\"\\")) {
		g_printerr("usage: restart-glib SOCKET SERVICE (of at most %zu bytes; without \" and \\)\n", sizeof r.address.sun_path - 1);
		return 100;
	}
	strcpy(r.address.sun_path, argv[1]);
	r.service = argv[2];
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	r.in = g_string_new(NULL);
	r.loop = g_main_loop_new(NULL, FALSE);
	if (!connect_to_hub(&r)) {
		perror(argv[1]);
		return 111;
	}
	g_main_loop_run(r.loop);
	close(r.fd);
	g_main_loop_unref(r.loop);
	g_string_free(r.in, TRUE);
	g_free(r.epoch);
	return r.status;
}
