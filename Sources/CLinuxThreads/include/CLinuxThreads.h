// Thread functions of Linux that Swift's Glibc module leaves out (GNU extensions and variadic calls).
#ifndef CLINUXTHREADS_H
#define CLINUXTHREADS_H

#include <pthread.h>
#include <stdbool.h>

// Names the calling thread. Names longer than 15 bytes are cut.
void linux_thread_set_name(const char *name);

// Adds to the calling thread's nice value. On Linux that value belongs to a thread.
void linux_thread_lower_priority(int nice_increment);

// Joins a thread, waiting `seconds` at most. Returns whether it has ended.
bool linux_thread_join(pthread_t thread, int seconds);

#endif
