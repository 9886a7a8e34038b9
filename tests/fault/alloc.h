/* alloc.h - what memory.c and the library that it preloads share, in the file that FAULT_FD names.
 */
#ifndef TESTS_FAULT_ALLOC_H
#define TESTS_FAULT_ALLOC_H

#include <stdint.h>

#define FAULT_FD "ATTN_FAULT_FD"

typedef struct fault {
    uint64_t at; /* this allocation fails, counted from 1; 0: none does */
    uint64_t count, failed;
    /* Instead: at each of the first `dense` allocations and at every step-th a child goes on for
     * which this and every further one fails. */
    uint64_t dense, step;
    uint64_t children, survived; /* children; those that could do without */
    uint64_t bad, bad_at;        /* how many ended otherwise than told; the first of them */
    int bad_status;              /* as wait gives it */
    char bad_text[400];
    int out_fd, err_fd;
    int64_t out_size; /* of a run in which nothing fails */
    char path[256];   /* what the command writes; "": nothing */
} fault;

#endif
