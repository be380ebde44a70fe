#include "CLinux.h"

#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

// What the C++ ABI offers for variables of a thread: at exit() those of the calling thread go first, before anything that
// libraries have registered for the end of the process.
extern int __cxa_thread_atexit_impl(void (*function)(void *), void *argument, void *library);

static const int NOT_GUARDED = -1;
static char library;
static atomic_int guarded_status = NOT_GUARDED;

static void leave_at_once(void *unused) {
    (void)unused;
    int status = atomic_load(&guarded_status);
    if (status != NOT_GUARDED) _exit(status);
}

void linux_exit_guard(int status) {
    if (atomic_exchange(&guarded_status, status) == NOT_GUARDED) {
        __cxa_thread_atexit_impl(leave_at_once, NULL, &library);
    }
}

void linux_exit_unguard(void) { atomic_store(&guarded_status, NOT_GUARDED); }
