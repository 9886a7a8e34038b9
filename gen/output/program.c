#include "program.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void program_begin(void) {
    cJSON_Hooks hooks = {memory_take, memory_give};
    cJSON_InitHooks(&hooks);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            exit(2); /* nobody to tell */
}

bool program_printed(diag *d) {
    errno = 0;
    const bool failed = fflush(stdout) || ferror(stdout);
    const char *why = errno ? strerror(errno) : "an earlier write failed";
    return !failed || diag_set(d, "cannot write to the standard output: %s", why);
}
