/* pool.h - jobs in child processes, several at a time: a crash is a result, not the end. */
#ifndef VERIFY_POOL_H
#define VERIFY_POOL_H

#include "util.h"

/* Runs in a child; returns its exit code. What it prints is captured. Must not start threads that
 * the parent started too. */
typedef int pool_job(void *ctx, int index);

typedef struct pool_result {
    int code;           /* exit code, if signal is 0 */
    int signal;         /* what ended the job */
    const char *output; /* stdout and stderr */
} pool_result;

int pool_cpus(void);

/* Runs jobs 0..count-1, at most `limit` at once (0: one a CPU), each for at most `seconds` (0: no
 * limit; SIGALRM then). done, if not null, is called in the parent in index order, as soon as
 * all earlier jobs have ended. */
void pool_run(arena *a, int count, int limit, unsigned seconds, pool_job *job, void *ctx,
              pool_result *results, void (*done)(void *ctx, int index, const pool_result *r));

/* SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGPIPE, unless they are ignored, from now on end the jobs
 * that run, call this and then end the process as they always do. It may call only what a signal
 * handler may. */
void pool_on_signal(void (*clean)(void));

/* Zeroed memory that a job and its parent share. */
void *pool_shared(size_t bytes);

/* "crashed (signal 11: a read or write outside of its buffers)". */
const char *pool_signal_text(arena *a, int signal);

#endif
