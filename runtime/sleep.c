/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* sleep.c - sleeping threads: Linux's futex; elsewhere one condition for all of them, Windows's own
 * or that of POSIX. ATTN_TEST_NO_FUTEX: POSIX's on Linux too. */
#include "sleep.h"

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
#if defined(_WIN32)
/* Of synchapi.h; windows.h would define near, far, min and more. */
__declspec(dllimport) void __stdcall AcquireSRWLockExclusive(void *lock);
__declspec(dllimport) void __stdcall ReleaseSRWLockExclusive(void *lock);
__declspec(dllimport) int __stdcall SleepConditionVariableSRW(void *condition, void *lock,
                                                              unsigned long milliseconds,
                                                              unsigned long flags);
__declspec(dllimport) void __stdcall WakeAllConditionVariable(void *condition);

static void *mutex, *changed; /* SRWLOCK_INIT, CONDITION_VARIABLE_INIT */

static void enter(void) {
    AcquireSRWLockExclusive(&mutex);
}
static void leave(void) {
    ReleaseSRWLockExclusive(&mutex);
}
static void wait_for_change(void) {
    SleepConditionVariableSRW(&changed, &mutex, 0xffffffff, 0);
}
static void tell_change(void) {
    WakeAllConditionVariable(&changed);
}
#else
#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void enter(void) {
    pthread_mutex_lock(&mutex);
}
static void leave(void) {
    pthread_mutex_unlock(&mutex);
}
static void wait_for_change(void) {
    pthread_cond_wait(&changed, &mutex);
}
static void tell_change(void) {
    pthread_cond_broadcast(&changed);
}
#endif

void attn_sleep(atomic_uint *word, unsigned value, unsigned bits) {
    (void)bits;
    enter();
    if (atomic_load(word) == value) wait_for_change();
    leave();
}

void attn_wake(atomic_uint *word, unsigned bits) {
    (void)word, (void)bits;
    enter();
    tell_change();
    leave();
}
#endif
