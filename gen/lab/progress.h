/* progress.h - how far a long command has come: one line of stderr, where that is a terminal, and
 * gone before anything else is written. */
#ifndef LAB_PROGRESS_H
#define LAB_PROGRESS_H

/* The line from now on. Nothing where stderr is no terminal, in jobs of a pool above all. */
void progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Takes it away. A signal's handler may call it. */
void progress_end(void);

#endif
