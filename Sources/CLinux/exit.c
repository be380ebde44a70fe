#include "CLinux.h"

#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

// Part of the C++ ABI, which the C library implements. What belongs to an owner can be taken back.
extern int __cxa_atexit(void (*function)(void *), void *argument, void *owner);
extern void __cxa_finalize(void *owner);

static const int NOT_GUARDED = -1;
static char owner;
static atomic_int guarded_status = NOT_GUARDED;
static atomic_bool is_being_taken_back;

static void leave_at_once(void *unused) {
    (void)unused;
    int status = atomic_load(&guarded_status);
    if (status != NOT_GUARDED && !atomic_load(&is_being_taken_back)) _exit(status);
}

void linux_exit_guard(int status) {
    atomic_store(&guarded_status, status);
    // The last to be registered is called first. A place at the end of the C library's list is used again.
    atomic_store(&is_being_taken_back, true);
    __cxa_finalize(&owner);
    atomic_store(&is_being_taken_back, false);
    __cxa_atexit(leave_at_once, NULL, &owner);
}

void linux_exit_unguard(void) { atomic_store(&guarded_status, NOT_GUARDED); }
