/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* sleep.c - sleeping threads: Linux's futex, elsewhere one condition for all of them.
 * ATTN_TEST_NO_FUTEX: as elsewhere. */
#include "sleep.h"

#ifdef _OPENMP
#if defined(__linux__) && !defined(ATTN_TEST_NO_FUTEX)
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef SYS_futex /* of systems whose times always had 64 bits */
#define SYS_futex SYS_futex_time64
#endif

/* As unistd.h declares it where more than ISO C is asked for. */
extern long syscall(long number, ...);

void attn_sleep(atomic_uint *word, unsigned value, unsigned bits) {
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, NULL, NULL, bits);
}

void attn_wake(atomic_uint *word, unsigned bits) {
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, bits);
}

#else
#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

void attn_sleep(atomic_uint *word, unsigned value, unsigned bits) {
    (void)bits;
    pthread_mutex_lock(&mutex);
    if (atomic_load(word) == value) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

void attn_wake(atomic_uint *word, unsigned bits) {
    (void)word, (void)bits;
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}
#endif
#endif
