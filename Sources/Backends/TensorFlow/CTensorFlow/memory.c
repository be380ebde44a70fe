// The memory of TensorFlow's tensors, limited. The library takes it by posix_memalign, checks what it gets, and makes an error
// of the run out of nothing; but on a machine that promises more than it has there is always something, until the kernel ends
// the server. So the library's own reference to that function, and nobody else's, is led to one that asks first.
#define _GNU_SOURCE
#include "CTensorFlow.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What is smaller is always given: the library does not expect to be refused a few bytes, and the system's file is not read
// for every tensor.
static const size_t threshold = 16 << 20;

static size_t process_limit = SIZE_MAX;

// Bytes of the process in memory; 0 when the system does not tell.
static size_t resident_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) return 0;
    unsigned long total = 0, resident = 0;
    int fields = fscanf(file, "%lu %lu", &total, &resident);
    fclose(file);
    return fields == 2 ? resident * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static int allocate(void **block, size_t alignment, size_t size) {
    if (size >= threshold) {
        size_t resident = resident_bytes();
        if (resident > process_limit || size > process_limit - resident) return ENOMEM;
    }
    return posix_memalign(block, alignment, size);
}

// Where the library keeps the address of the function; NULL when it has no such place, or one that cannot be written.
static void **reference(const struct link_map *library, const char *function) {
    const char *names = NULL;
    const ElfW(Sym) *symbols = NULL;
    const ElfW(Rela) *relocations = NULL;
    size_t count = 0;
    for (const ElfW(Dyn) *entry = library->l_ld; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_STRTAB: names = (const char *)entry->d_un.d_ptr; break;
        case DT_SYMTAB: symbols = (const ElfW(Sym) *)entry->d_un.d_ptr; break;
        case DT_JMPREL: relocations = (const ElfW(Rela) *)entry->d_un.d_ptr; break;
        case DT_PLTRELSZ: count = entry->d_un.d_val / sizeof(ElfW(Rela)); break;
        // Linked so that the places are made read-only.
        case DT_BIND_NOW: return NULL;
        case DT_FLAGS: if (entry->d_un.d_val & DF_BIND_NOW) return NULL; break;
        case DT_FLAGS_1: if (entry->d_un.d_val & DF_1_NOW) return NULL; break;
        case DT_PLTREL: if (entry->d_un.d_val != DT_RELA) return NULL; break;
        }
    }
    if (names == NULL || symbols == NULL || relocations == NULL) return NULL;
    for (size_t i = 0; i < count; i++) {
        const ElfW(Sym) *symbol = &symbols[ELF64_R_SYM(relocations[i].r_info)];
        if (strcmp(names + symbol->st_name, function) == 0) return (void **)(library->l_addr + relocations[i].r_offset);
    }
    return NULL;
}

// The library with the allocator: one of its own beside the one that has `function`, or that one.
static const struct link_map *allocating_library(const void *function) {
    static const char name[] = "/libtensorflow_framework.so";
    Dl_info info;
    struct link_map *found = NULL;
    if (dladdr1(function, &info, (void **)&found, RTLD_DL_LINKMAP) == 0 || found == NULL) return NULL;
    const struct link_map *library = found;
    while (library->l_prev != NULL) library = library->l_prev;
    for (; library != NULL; library = library->l_next) {
        const char *file = strrchr(library->l_name, '/');
        if (file != NULL && strncmp(file, name, sizeof name - 1) == 0) return library;
    }
    return found;
}

int ctensorflow_limit_memory(const void *function, size_t process) {
    const struct link_map *library = allocating_library(function);
    void **place = library == NULL ? NULL : reference(library, "posix_memalign");
    if (place == NULL) return 0;
    process_limit = process;
    __atomic_store_n(place, (void *)allocate, __ATOMIC_RELEASE);
    return 1;
}
