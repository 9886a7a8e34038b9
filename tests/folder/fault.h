/* fault.h - the n-th system call that writes kills the process or fails. */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_KILL,     /* SIGKILL instead of the n-th call that changes something */
    FAULT_TORN,     /* the same; a write writes its first half */
    FAULT_ERROR,    /* the n-th call of any kind fails with EIO, the others work */
    FAULT_FULL,     /* from the n-th on, what needs space fails with ENOSPC */
    FAULT_FULLEST,  /* the same for renames, which seldom need any */
    FAULT_NO_LINKS, /* link fails with EPERM, as on FAT; the n-th call kills */
    FAULT_KINDS
} fault_kind;

extern const char *const fault_names[FAULT_KINDS];

/* Counts from 1. */
void fault_arm(fault_kind kind, int at);
/* Whether it came to the n-th call. */
int fault_disarm(void);

#endif
