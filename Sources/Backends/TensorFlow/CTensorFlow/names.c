#include "CTensorFlow.h"

static const char *const names[] = {
#define X0(result, name) "TF_" #name,
#define X(result, name, parameters, arguments) "TF_" #name,
    CTENSORFLOW_FUNCTIONS(X0, X)
#undef X0
#undef X
};

// The table is filled by position.
_Static_assert(sizeof(CTensorFlow) == sizeof names, "a table of nothing but functions");

const char *const *ctensorflow_function_names(void) { return names; }

long ctensorflow_function_count(void) { return sizeof names / sizeof *names; }
