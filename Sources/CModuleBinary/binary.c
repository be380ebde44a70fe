#define _GNU_SOURCE
#include "CModuleBinary.h"

#include <dlfcn.h>
#include <stddef.h>

#ifndef REDISAI_GIT_SHA
#define REDISAI_GIT_SHA "unknown"
#endif

const char *module_binary_path(void) {
    Dl_info info;
    return dladdr((const void *)&module_binary_path, &info) != 0 ? info.dli_fname : NULL;
}

const char *module_binary_git_sha(void) { return REDISAI_GIT_SHA; }
