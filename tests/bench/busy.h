/* busy.h - other processes that want the CPUs too. */
#ifndef BENCH_BUSY_H
#define BENCH_BUSY_H

/* Starts so many processes that do nothing but count. They end with busy_end, with this program in
 * whatever way it ends, and at its exit. -1: the system has none. */
int busy_start(int processes);
void busy_end(void);

#endif
