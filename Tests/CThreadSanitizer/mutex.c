// Swift's `Mutex` asks the kernel when two threads want it at once (FUTEX_LOCK_PI), within a library that has no
// instrumentation: Thread Sanitizer sees the lock when it is free, and misses who gave it to whom otherwise. The two
// functions take the place of the library's in the test program, and say so.

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

#define SWIFT_METHOD __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

// Synchronization._MutexHandle._lockSlow(_: UInt32) and _unlockSlow()
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef SWIFT_METHOD void (*LockSlow)(uint32_t thread, SELF void *self);
typedef SWIFT_METHOD void (*UnlockSlow)(SELF void *self);

SWIFT_METHOD void lock_slow(uint32_t thread, SELF void *self) __asm__(LOCK_SLOW);
SWIFT_METHOD void unlock_slow(SELF void *self) __asm__(UNLOCK_SLOW);

SWIFT_METHOD void lock_slow(uint32_t thread, SELF void *self) {
    ((LockSlow)dlsym(RTLD_NEXT, LOCK_SLOW))(thread, self);
    __tsan_acquire(self);
}

SWIFT_METHOD void unlock_slow(SELF void *self) {
    __tsan_release(self);
    ((UnlockSlow)dlsym(RTLD_NEXT, UNLOCK_SLOW))(self);
}

#endif
#endif
