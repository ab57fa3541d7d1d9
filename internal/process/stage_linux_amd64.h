// System calls of Linux on amd64.
#define SYS_read 0
#define SYS_write 1
#define SYS_close 3
#define SYS_rt_sigaction 13
#define SYS_rt_sigprocmask 14
#define SYS_madvise 28
#define SYS_clone 56
#define SYS_execve 59
#define SYS_fcntl 72
#define SYS_fchdir 81
#define SYS_setsid 112
#define SYS_prctl 157
#define SYS_futex 202
#define SYS_exit_group 231
#define SYS_dup3 292
#define SYS_prlimit64 302
#define SYS_close_range 436

// Timer slacks, in nanoseconds: the kernel's default, and ours. Go's runtime has a thread that looks after
// the others every 20 microseconds while a program starts, which costs a tenth of all that a start of
// supervise does; with the second, it looks every two milliseconds. It is an odd number, to be known
// again: what was set before supervise, and what a service gets, stays as it is.
#define PR_SET_TIMERSLACK 29
#define PR_GET_TIMERSLACK 30
#define SLACK_DEFAULT $50000
#define SLACK_OURS $2000001

// The program's text and tables are mapped by one call, instead of by forty page faults.
#define MADV_POPULATE_READ $22
