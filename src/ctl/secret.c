/*
 * Reading secrets.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "secret.h"


void
secret_clean(void *data, size_t len)
{
    OPENSSL_cleanse(data, len);
}


void
secret_wipe(secret_t *secret)
{
    OPENSSL_cleanse(secret, sizeof(*secret));
}


int
secret_random(void *data, size_t len, ctl_error_t *error)
{
    if (RAND_bytes(data, (int) len) != 1) {
        ctl_error(error, CTL_REFUSED, "no_random",
                  "OpenSSL gave no random bytes");
        return ctl_remedy(error, "check OpenSSL's configuration "
                          "(OPENSSL_CONF)");
    }

    return 0;
}


/* Reads up to size bytes.  Returns their number, or -1. */

static ssize_t
secret_read_fd(int fd, void *data, size_t size)
{
    size_t   len;
    ssize_t  n;

    for (len = 0; len < size; len += n) {
        n = read(fd, (unsigned char *) data + len, size - len);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n == -1) {
            return -1;
        }

        if (n == 0) {
            break;
        }
    }

    return (ssize_t) len;
}


/* Reads one line from a terminal, without echo. */

static ssize_t
secret_read_terminal(secret_t *secret, const char *what)
{
    ssize_t         n;
    struct termios  shown, hidden;

    if (tcgetattr(STDIN_FILENO, &shown) != 0) {
        return -1;
    }

    hidden = shown;
    hidden.c_lflag &= ~ECHO;

    fprintf(stderr, "%s: ", what);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);

    do {
        n = read(STDIN_FILENO, secret->data, sizeof(secret->data));
    } while (n == -1 && errno == EINTR);

    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fputc('\n', stderr);

    return n;
}


static ssize_t
secret_read_file(secret_t *secret, const char *file, const char *what)
{
    int          fd;
    ssize_t      n;
    struct stat  st;

    fd = open(file, O_RDONLY|O_CLOEXEC|O_NOCTTY);
    if (fd == -1) {
        return -1;
    }

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077)) {
        output_warning("other users may read the file \"%s\" with %s (mode "
                       "%04o): run chmod 600 on it", file, what,
                       (unsigned) st.st_mode & 07777);
    }

    n = secret_read_fd(fd, secret->data, sizeof(secret->data));

    close(fd);

    return n;
}


int
secret_read(secret_t *secret, const char *file, const char *what,
    ctl_error_t *error)
{
    int      code, input;
    ssize_t  n;

    input = (strcmp(file, "-") == 0);
    secret->len = 0;

    if (!input) {
        n = secret_read_file(secret, file, what);
    } else if (isatty(STDIN_FILENO)) {
        n = secret_read_terminal(secret, what);
    } else {
        n = secret_read_fd(STDIN_FILENO, secret->data, sizeof(secret->data));
    }

    if (n == -1) {
        code = errno;
        secret_wipe(secret);
        ctl_error(error, CTL_REFUSED, "secret_file",
                  "cannot read %s from \"%s\": %s", what,
                  input ? "standard input" : file, strerror(code));
        return ctl_remedy(error, "name a file that holds nothing else, or - "
                          "for standard input");
    }

    while (n > 0
           && (secret->data[n - 1] == '\n' || secret->data[n - 1] == '\r'))
    {
        n--;
    }

    secret->len = (size_t) n;

    if (n == 0) {
        secret_wipe(secret);
        ctl_error(error, CTL_REFUSED, "bad_secret", "%s is empty", what);
        return ctl_remedy(error, "write it, and nothing else, to %s%s%s",
                          input ? "" : "\"", input ? "standard input" : file,
                          input ? "" : "\"");
    }

    if (!amp_secret_valid(secret_span(secret))) {
        secret_wipe(secret);
        ctl_error(error, CTL_REFUSED, "bad_secret",
                  "%s must be 1 to %d printable ASCII characters on one line, "
                  "without spaces", what, AMP_SECRET_MAX);
        return ctl_remedy(error, "to see its bytes: od -c%s%s",
                          input ? "" : " ", input ? "" : file);
    }

    return 0;
}


static int
secret_master_refused(const char *file, const char *why, const char *remedy,
    ctl_error_t *error)
{
    ctl_error(error, CTL_REFUSED, "master_key",
              "master key file \"%s\" is refused: %s", file, why);

    return ctl_remedy(error, "%s", remedy);
}


int
secret_master_key(amp_keyring_t *ring, const char *file, ctl_error_t *error)
{
    int             fd, rc, code;
    char            text[AMP_MASTER_KEY_TEXT + 1];
    ssize_t         n;
    const char     *why;
    struct stat     st;

    /* O_NONBLOCK: opening a FIFO would wait for its writer */

    fd = open(file, O_RDONLY|O_CLOEXEC|O_NOCTTY|O_NONBLOCK);

    if (fd == -1 || fstat(fd, &st) != 0) {
        code = errno;

        if (fd != -1) {
            close(fd);
        }

        ctl_error(error, CTL_REFUSED, "master_key",
                  "cannot open master key file \"%s\": %s", file,
                  strerror(code));

        return ctl_remedy(error, code == EACCES
                          ? "run ampctl as the user who owns it, or as root"
                          : "make one with: ampctl masterkey new FILE");
    }

    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return secret_master_refused(file, "it is not a regular file",
                                     "name a regular file", error);
    }

    if (st.st_mode & 077) {
        close(fd);
        return secret_master_refused(file, "other users may read or "
                                     "write it", "run chmod 600 on it", error);
    }

    if (st.st_uid != geteuid() && st.st_uid != 0) {
        close(fd);
        return secret_master_refused(file, "it belongs to another user",
                                     "chown it to the user who runs ampctl, or "
                                     "to root", error);
    }

    n = secret_read_fd(fd, text, sizeof(text));

    close(fd);

    if (n == -1) {
        return secret_master_refused(file, "reading it failed",
                                     "check the disk", error);
    }

    why = "it is malformed";
    rc = amp_keyring_add(ring, amp_span_make(text, (size_t) n), &why);

    OPENSSL_cleanse(text, sizeof(text));

    if (rc != 0) {
        return secret_master_refused(file, why, "name a file of 64 hex digits "
                                     "and nothing else, as ampctl masterkey "
                                     "new writes it", error);
    }

    return 0;
}
