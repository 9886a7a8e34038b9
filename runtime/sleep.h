/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* sleep.h - a thread that waits for a word of memory to change: for a moment awake, then asleep. */
#ifndef ATTN_SLEEP_H
#define ATTN_SLEEP_H

#include "attn.h"
#include <stdatomic.h>

ATTN_HIDDEN_BEGIN

/* How often to look before sleeping: 15 to 100 microseconds, by the length of the CPU's pause. A
 * thread that is kept from its CPU costs more than that, and so does one that is woken. */
enum { ATTN_LOOKS = 2000 };

/* Between two looks. */
static inline void attn_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Sleeps while *word is `value`; returns at a wake that has a bit of `bits`, and perhaps without
 * one. A word that was changed before the wake is never slept on. */
void attn_sleep(atomic_uint *word, unsigned value, unsigned bits);
/* Wakes all that sleep on the word with one of these bits. */
void attn_wake(atomic_uint *word, unsigned bits);

ATTN_VISIBILITY_END

#endif
