#include "CLiteRT.h"

#include <string.h>

static const char *const names[] = {
#define CLITERT_NAME(result, name, parameters) "LiteRt" #name,
    CLITERT_FUNCTIONS(CLITERT_NAME)
#undef CLITERT_NAME
};

_Static_assert(sizeof(CLiteRtFunctions) == sizeof(names), "a table of pointers, in the order of their names");

size_t clitert_function_count(void) {
    return sizeof(names) / sizeof(names[0]);
}

const char *clitert_function_name(size_t index) {
    return names[index];
}

void clitert_set_function(CLiteRtFunctions *functions, size_t index, void *address) {
    memcpy((char *)functions + index * sizeof(address), &address, sizeof(address));
}
