#define _DEFAULT_SOURCE
#include "progress.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static volatile sig_atomic_t shown;
static const char back[] = "\r\033[K"; /* to the line's start, and clear it */

/* A line that wraps could not be taken back. */
static int columns(void) {
    struct winsize size;
    const int given = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) ? 0 : size.ws_col;
    return given > 1 ? given - 1 : 79;
}

void progress(const char *fmt, ...) {
    char line[512];
    if (!isatty(STDERR_FILENO)) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    fflush(stdout); /* what was written before stands above */
    shown = 1;
    fprintf(stderr, "%s%.*s", back, columns(), line);
    fflush(stderr);
}

void progress_end(void) {
    if (!shown) return;
    shown = 0;
    if (write(STDERR_FILENO, back, sizeof back - 1) < 0) return; /* nobody to tell */
}
