// What the programs share that measure an engine's own run: reading the model, finding functions, and the rounds.
#ifndef RAW_RUN_H
#define RAW_RUN_H

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_VALUES = 8, MOST_DIMS = 8, RUNS_PER_LOOK = 16, WARM_UP_RUNS = 200 };

static void fail(const char *what) {
    fprintf(stderr, "raw_run: %s\n", what);
    exit(1);
}

static inline void *library_function(void *library, const char *name) {
    void *function = dlsym(library, name);
    if (!function) fail(dlerror());
    return function;
}

static inline void *open_library(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) fail(dlerror());
    return library;
}

// A file as a whole; its size goes to `size`.
static inline void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) fail("the model cannot be read");
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size);
    if (fread(bytes, 1, *size, file) != *size) fail("the model cannot be read");
    fclose(file);
    return bytes;
}

// CPU time of the process: an engine that used a thread of its own could not hide it.
static inline int64_t cpu_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// Prints the CPU time of one run in nanoseconds, once per round.
static inline void measure(void (*run)(void *), void *context, int rounds, double seconds) {
    for (int i = 0; i < WARM_UP_RUNS; i++) run(context);
    for (int round = 0; round < rounds; round++) {
        int64_t start = cpu_nanoseconds(), end = start, limit = start + (int64_t)(seconds * 1e9);
        int64_t runs = 0;
        while (end < limit) {
            for (int i = 0; i < RUNS_PER_LOOK; i++) run(context);
            runs += RUNS_PER_LOOK;
            end = cpu_nanoseconds();
        }
        printf("%.1f\n", (double)(end - start) / (double)runs);
    }
}

#endif
