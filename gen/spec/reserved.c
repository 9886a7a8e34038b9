#include "reserved.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* The folder is searched for headers, before the system's. Of ISO C, POSIX, glibc, compilers,
 * Windows and macOS: those whose names are identifiers. */
static const char *const headers[] = {
    "aio",         "alloca",    "altivec",      "ar",        "argp",
    "argz",        "arm_acle",  "arm_bf16",     "arm_fp16",  "arm_neon",
    "arm_sve",     "assert",    "availability", "byteswap",  "complex",
    "conio",       "corecrt",   "cpio",         "cpuid",     "crtdefs",
    "crypt",       "ctype",     "cxxabi",       "direct",    "dirent",
    "dlfcn",       "elf",       "endian",       "envz",      "err",
    "errno",       "error",     "excpt",        "execinfo",  "fcntl",
    "features",    "fenv",      "float",        "fmtmsg",    "fnmatch",
    "fpu_control", "fstab",     "fts",          "ftw",       "gconv",
    "gcov",        "getopt",    "glob",         "grp",       "gshadow",
    "iconv",       "ieee754",   "ifaddrs",      "intrin",    "inttypes",
    "io",          "iso646",    "langinfo",     "lastlog",   "libgen",
    "libintl",     "limits",    "link",         "locale",    "malloc",
    "math",        "mcheck",    "memory",       "mm3dnow",   "mm_malloc",
    "mntent",      "monetary",  "mqueue",       "ndbm",      "netdb",
    "nl_types",    "nss",       "obstack",      "omp",       "openacc",
    "paths",       "poll",      "printf",       "process",   "proc_service",
    "pthread",     "pty",       "pwd",          "quadmath",  "re_comp",
    "regex",       "regexp",    "resolv",       "sal",       "sched",
    "search",      "semaphore", "setjmp",       "sgtty",     "shadow",
    "signal",      "spawn",     "stab",         "stdalign",  "stdarg",
    "stdatomic",   "stdbit",    "stdbool",      "stdckdint", "stddef",
    "stdfix",      "stdint",    "stdio",        "stdio_ext", "stdlib",
    "stdnoreturn", "string",    "strings",      "stropts",   "syscall",
    "sysexits",    "syslimits", "syslog",       "tar",       "targetconditionals",
    "tchar",       "termio",    "termios",      "tgmath",    "thread_db",
    "threads",     "time",      "trace",        "ttyent",    "uchar",
    "ucontext",    "ulimit",    "unistd",       "unwind",    "utime",
    "utmp",        "utmpx",     "vadefs",       "values",    "varargs",
    "wait",        "wchar",     "wctype",       "winbase",   "windef",
    "windows",     "winnt",     "winsock",      "winsock2",  "wordexp",
    "xlocale",     NULL};

/* -L makes the linker look here first, for what compilers add on their own as well. */
static const char *const libraries[] = {
    "advapi32", "anl",      "asan",     "atomic", "bsd",  "c",        "clang_rt",  "crypt",
    "dl",       "gcc",      "gcc_eh",   "gcc_s",  "gcov", "gfortran", "gomp",      "iomp5",
    "itm",      "kernel32", "ld",       "ldap",   "lsan", "m",        "mingw32",   "mingwex",
    "moldname", "msvcrt",   "mvec",     "nsl",    "omp",  "pthread",  "quadmath",  "resolv",
    "rt",       "shell32",  "ssp",      "stdc",   "supc", "system",   "thread_db", "tsan",
    "ubsan",    "ucrt",     "ucrtbase", "user32", "util", "ws2_32",   NULL};

/* NAME_create or NAME_destroy is a function of C or POSIX. */
static const char *const prefixes[] = {"auth", "clnt", "cnd",   "epoll", "memfd", "mtx", "sem",
                                       "svc",  "thrd", "timer", "tss",   "xdr",   NULL};

static const char *const packages[] = {"cmake", "openmp", "threads", NULL};

static const char *const devices[] = {"aux", "con", "nul", "prn", NULL};

static bool in_list(const char *const *list, const char *name) {
    for (; *list; list++)
        if (!strcmp(*list, name)) return true;
    return false;
}

static bool is_device(const char *name) {
    const bool port = !strncmp(name, "com", 3) || !strncmp(name, "lpt", 3);
    return in_list(devices, name) || (port && isdigit((unsigned char)name[3]) && !name[4]);
}

const char *reserved_reason(arena *a, const char *identifier) {
    char *low = arena_strdup(a, identifier);
    for (char *p = low; *p; p++) *p = (char)tolower((unsigned char)*p);
    if (in_list(headers, low) || ends_with(low, "intrin"))
        return arena_printf(a, "%s.h would hide a header of the system", identifier);
    if (in_list(libraries, low))
        return arena_printf(a, "lib%s would stand in for a library of the system", identifier);
    if (in_list(prefixes, low) || !strncmp(low, "pthread_", 8) || !strncmp(low, "posix_", 6))
        return arena_printf(a, "functions of the system start with %s_, too", identifier);
    if (in_list(packages, low)) return arena_printf(a, "CMake knows a package %s", identifier);
    if (is_device(low)) return arena_printf(a, "Windows makes no file %s", identifier);
    return NULL;
}

const char *reserved_instead(arena *a, const char *name) {
    const bool family = !strncasecmp(name, "pthread", 7) || !strncasecmp(name, "posix", 5);
    return arena_printf(a, family ? "model_%s" : "%s_model", name);
}
