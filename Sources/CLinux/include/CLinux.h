// What Linux offers and Swift's Glibc module leaves out: GNU extensions and variadic calls.
#ifndef CLINUX_H
#define CLINUX_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

// MARK: Threads

// Names the calling thread. Names longer than 15 bytes are cut.
void linux_thread_set_name(const char *name);

// Adds to the calling thread's nice value. On Linux that value belongs to a thread.
void linux_thread_lower_priority(int nice_increment);

// How often the calling thread has been kept from running so far although it wanted to.
long linux_thread_preemptions(void);

// Joins a thread, waiting `seconds` at most. Returns whether it has ended.
bool linux_thread_join(pthread_t thread, int seconds);

// Processors that the process may use, at least 1.
int linux_processor_count(void);

// MARK: Processes

// A file that exists in memory only, closed in other programs. Returns a descriptor, or -1.
int linux_memory_file(const char *name);

// Starts a program with the given standard input and output, without environment and without any other file of the
// calling process. Memory is not copied, however large the process is. `arguments` ends with NULL.
// Returns the process's number, or -1.
pid_t linux_spawn(const char *program, char *const *arguments, int standard_input, int standard_output);

// MARK: The end of the process

// From now on exit() ends the process at once, with this status, instead of destroying what libraries have made while
// threads still use it. To be called again, by the thread that may call exit(), when libraries may have registered
// something to be done at exit since: what is registered last is done first.
void linux_exit_guard(int status);

// exit() does what it usually does.
void linux_exit_unguard(void);

#endif
