/*
 * The terminal of "ampctl top".
 *
 * Signals are blocked but in ppoll(), so that each is noticed there and nowhere
 * else: no handler does more than to note its number.
 */

#define _GNU_SOURCE                 /* ppoll() */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "connection.h"
#include "top_terminal.h"


/* the screen that programs have for themselves; the cursor */

#define TOP_ENTER  "\033[?1049h\033[?25l"
#define TOP_LEAVE  "\033[?25h\033[?1049l"


static const int  top_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP,
                                    SIGCONT, SIGWINCH };

#define TOP_SIGNALS  (sizeof(top_signals) / sizeof(top_signals[0]))


static volatile sig_atomic_t  top_signal;

static sigset_t               top_mask;         /* as it was before           */
static struct termios         top_before;
static struct sigaction       top_actions[TOP_SIGNALS];


static void
top_note(int signo)
{
    top_signal = signo;
}


static void
top_write(const char *text, size_t len)
{
    ssize_t  n;

    while (len != 0) {
        n = write(STDOUT_FILENO, text, len);

        if (n < 0 && errno != EINTR) {
            return;
        }

        if (n > 0) {
            text += n;
            len -= (size_t) n;
        }
    }
}


int
top_terminal_usable(void)
{
    const char  *term;

    term = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)
           && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}


/* Keys one by one, without echo; Ctrl-C stays a signal. */

static int
top_raw(void)
{
    struct termios  raw;

    raw = top_before;
    raw.c_lflag &= ~(tcflag_t) (ICANON|ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;

    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0) {
        return -1;
    }

    top_write(TOP_ENTER, sizeof(TOP_ENTER) - 1);

    return 0;
}


static void
top_cooked(void)
{
    top_write(TOP_LEAVE, sizeof(TOP_LEAVE) - 1);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &top_before);
}


int
top_terminal_begin(void)
{
    size_t            i;
    sigset_t          mask;
    struct sigaction  action;

    if (tcgetattr(STDIN_FILENO, &top_before) != 0) {
        return -1;
    }

    memset(&action, 0, sizeof(action));
    action.sa_handler = top_note;
    sigemptyset(&action.sa_mask);
    sigemptyset(&mask);

    for (i = 0; i < TOP_SIGNALS; i++) {
        sigaddset(&mask, top_signals[i]);
    }

    sigprocmask(SIG_BLOCK, &mask, &top_mask);

    for (i = 0; i < TOP_SIGNALS; i++) {
        sigaction(top_signals[i], &action, &top_actions[i]);
    }

    return top_raw();
}


/* Ctrl-Z: the shell gets the terminal, until the program is continued. */

static void
top_stop(void)
{
    sigset_t          mask;
    struct sigaction  action, ours;

    top_cooked();

    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    sigaction(SIGTSTP, &action, &ours);
    raise(SIGTSTP);

    sigemptyset(&mask);
    sigaddset(&mask, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    sigprocmask(SIG_BLOCK, &mask, NULL);

    sigaction(SIGTSTP, &ours, NULL);
    (void) top_raw();
}


int
top_terminal_key(int64_t deadline)
{
    int              n, signo;
    int64_t          left;
    unsigned char    c;
    struct pollfd    in;
    struct timespec  time;

    left = deadline - connection_clock();
    left = left > 0 ? left : 0;

    time.tv_sec = (time_t) (left / 1000);
    time.tv_nsec = (long) (left % 1000) * 1000000;

    in.fd = STDIN_FILENO;
    in.events = POLLIN;

    n = ppoll(&in, 1, &time, &top_mask);
    signo = top_signal;

    switch (signo) {

    case 0:
        break;

    case SIGTSTP:
        top_signal = 0;
        top_stop();
        return TOP_KEY_RESIZE;

    case SIGCONT:
    case SIGWINCH:
        top_signal = 0;
        return TOP_KEY_RESIZE;

    default:
        return TOP_KEY_END;
    }

    if (n <= 0) {
        return TOP_KEY_NONE;
    }

    return read(STDIN_FILENO, &c, 1) == 1 ? c : TOP_KEY_END;
}


void
top_terminal_size(unsigned *columns, unsigned *lines)
{
    struct winsize  size;

    *columns = 80;
    *lines = 24;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0
        && size.ws_row != 0)
    {
        *columns = size.ws_col;
        *lines = size.ws_row;
    }
}


void
top_terminal_draw(const char *text, size_t len)
{
    top_write("\033[H", 3);
    top_write(text, len);
    top_write("\033[K\033[J", 6);
}


void
top_terminal_end(void)
{
    size_t  i;

    top_cooked();

    for (i = 0; i < TOP_SIGNALS; i++) {
        sigaction(top_signals[i], &top_actions[i], NULL);
    }

    sigprocmask(SIG_SETMASK, &top_mask, NULL);

    if (top_signal != 0) {
        raise(top_signal);
    }
}
