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


/* Reads one line from a terminal, without echo.  Its length, or -1. */

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


/*
 * Opens a file; a symlink is followed, and what counts is the file that it
 * names now: Kubernetes mounts secrets as symlinks.  -1 with errno set.
 */

static int
secret_open(const char *file, struct stat *st)
{
    int  fd, code;

    /* O_NONBLOCK: opening a FIFO would wait for its writer */

    fd = open(file, O_RDONLY|O_CLOEXEC|O_NOCTTY|O_NONBLOCK);

    if (fd != -1 && fstat(fd, st) != 0) {
        code = errno;
        close(fd);
        errno = code;
        fd = -1;
    }

    return fd;
}


static int
secret_refused(ctl_error_t *error, const char *code, const char *what,
    const char *file, const char *why, const char *remedy)
{
    ctl_error(error, CTL_REFUSED, code, "%s \"%s\" %s", what, file, why);

    return ctl_remedy(error, "%s", remedy);
}


ssize_t
secret_file(const secret_kind_t *kind, const char *file, void *data,
    size_t size, ctl_error_t *error)
{
    int                          fd, code;
    ssize_t                      n;
    struct stat                  st;
    const amp_secret_refusal_t  *refusal;

    fd = secret_open(file, &st);

    if (fd == -1) {
        code = errno;
        ctl_error(error, CTL_REFUSED, kind->code, "%s \"%s\" cannot be "
                  "opened: %s", kind->what, file, strerror(code));

        return ctl_remedy(error, "%s", code == EACCES
                          ? "run ampctl as the user who owns it, or as root"
                          : kind->missing);
    }

    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return secret_refused(error, kind->code, kind->what, file,
                              "is not a regular file", "name a regular file");
    }

    refusal = amp_secret_file_access(st.st_mode & 07777, st.st_uid, geteuid());

    if (refusal != NULL) {
        close(fd);
        return secret_refused(error, kind->code, kind->what, file,
                              refusal->why, refusal->remedy);
    }

    n = secret_read_fd(fd, data, size);

    close(fd);

    return n != -1 ? n : secret_refused(error, kind->code, kind->what, file,
                                        "cannot be read", "check the disk");
}


/* Reads from standard input.  Their number, or -1 with the error filled. */

static ssize_t
secret_input(secret_t *secret, const char *what, ctl_error_t *error)
{
    ssize_t  n;

    n = isatty(STDIN_FILENO)
        ? secret_read_terminal(secret, what)
        : secret_read_fd(STDIN_FILENO, secret->data, sizeof(secret->data));

    if (n == -1) {
        ctl_error(error, CTL_REFUSED, "secret_file",
                  "cannot read %s from standard input: %s", what,
                  strerror(errno));
        return ctl_remedy(error, "name a file that holds nothing else");
    }

    return n;
}


/* The line of n bytes that were read.  0, or -1 with the error filled. */

static int
secret_line(secret_t *secret, ssize_t n, const char *file, const char *what,
    ctl_error_t *error)
{
    int                          input;
    amp_span_t                   line;
    const amp_secret_refusal_t  *refusal;

    if (n == -1) {
        secret_wipe(secret);
        return -1;
    }

    refusal = amp_secret_file_line(amp_span_make(secret->data, (size_t) n),
                                   &line);
    if (refusal == NULL) {
        secret->len = line.len;
        return 0;
    }

    input = (strcmp(file, "-") == 0);
    secret_wipe(secret);

    ctl_error(error, CTL_REFUSED, "bad_secret", "%s: %s%s%s %s", what,
              input ? "" : "\"", input ? "standard input" : file,
              input ? "" : "\"", refusal->why);

    return ctl_remedy(error, "%s; to see its bytes: od -c%s%s",
                      refusal->remedy, input ? "" : " ", input ? "" : file);
}


static ssize_t
secret_warned_file(secret_t *secret, const char *file, const char *what,
    ctl_error_t *error)
{
    int                          fd;
    ssize_t                      n;
    struct stat                  st;
    const amp_secret_refusal_t  *refusal;

    /* not secret_open(): the shell's <(...) is a pipe */

    fd = open(file, O_RDONLY|O_CLOEXEC|O_NOCTTY);
    n = -1;

    if (fd != -1) {
        refusal = NULL;

        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
            refusal = amp_secret_file_access(st.st_mode & 07777, st.st_uid,
                                             geteuid());
        }

        if (refusal != NULL) {
            output_warning("the file \"%s\" with %s %s (mode %04o): %s", file,
                           what, refusal->why, (unsigned) st.st_mode & 07777,
                           refusal->remedy);
        }

        n = secret_read_fd(fd, secret->data, sizeof(secret->data));
    }

    if (n == -1) {
        ctl_error(error, CTL_REFUSED, "secret_file",
                  "cannot read %s from \"%s\": %s", what, file,
                  strerror(errno));
        ctl_remedy(error, "name a file that holds nothing else, or - for "
                   "standard input");
    }

    if (fd != -1) {
        close(fd);
    }

    return n;
}


int
secret_ampersand_key(secret_t *secret, const char *file, ctl_error_t *error)
{
    int          input;
    ssize_t      n;
    const char  *what = "the Ampersand key";

    input = (strcmp(file, "-") == 0);

    n = input ? secret_input(secret, what, error)
              : secret_warned_file(secret, file, what, error);

    if (secret_line(secret, n, file, what, error) != 0) {
        return -1;
    }

    if (amp_secret_valid(secret_span(secret))) {
        return 0;
    }

    secret_wipe(secret);
    ctl_error(error, CTL_REFUSED, "bad_secret",
              "%s must be 1 to %d printable ASCII characters on one line, "
              "without spaces", what, AMP_SECRET_MAX);

    return ctl_remedy(error, "to see its bytes: od -c%s%s",
                      input ? "" : " ", input ? "" : file);
}


int
secret_token(secret_t *secret, const char *file, ctl_error_t *error)
{
    ssize_t      n;
    const char  *what = "the token";

    n = strcmp(file, "-") == 0 ? secret_input(secret, what, error)
                               : secret_warned_file(secret, file, what, error);

    return secret_line(secret, n, file, what, error);
}


int
secret_password(secret_t *secret, const char *file, ctl_error_t *error)
{
    ssize_t      n;
    const char  *what = "the Redis password";

    static const secret_kind_t  kind = {
        "Redis password file", "secret_file",
        "--redis-password-file FILE (AMPERSAND_REDIS_PASSWORD_FILE) is a file "
        "with the password, or - for standard input"
    };

    n = strcmp(file, "-") == 0
        ? secret_input(secret, what, error)
        : secret_file(&kind, file, secret->data, sizeof(secret->data), error);

    return secret_line(secret, n, file, what, error);
}


int
secret_master_key(amp_keyring_t *ring, const char *file, ctl_error_t *error)
{
    int                          rc;
    ssize_t                      n;
    secret_t                     text;
    amp_span_t                   line;
    const char                  *why;
    const amp_secret_refusal_t  *refusal;

    static const secret_kind_t  kind = {
        "master key file", "master_key",
        "make one with: ampctl masterkey new FILE"
    };

    n = secret_file(&kind, file, text.data, sizeof(text.data), error);

    if (n == -1) {
        return -1;
    }

    rc = -1;
    refusal = amp_secret_file_line(amp_span_make(text.data, (size_t) n), &line);

    if (refusal == NULL) {
        why = "it is malformed";
        rc = amp_keyring_add(ring, line, &why);
    }

    secret_wipe(&text);

    if (refusal != NULL) {
        return secret_refused(error, kind.code, kind.what, file, refusal->why,
                              refusal->remedy);
    }

    if (rc != 0) {
        ctl_error(error, CTL_REFUSED, kind.code,
                  "%s \"%s\" is refused: %s", kind.what, file, why);
        return ctl_remedy(error, "name a file of 64 hex digits and nothing "
                          "else, as ampctl masterkey new writes it");
    }

    return 0;
}
