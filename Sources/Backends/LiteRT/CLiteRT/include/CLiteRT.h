// The part of LiteRT's C interface that the project uses, in declarations of our own.
//
// The library is opened at run time, never linked: its functions are looked up by name, once, and kept in a table.
#ifndef CLITERT_H
#define CLITERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct LiteRtEnvironmentT LiteRtEnvironmentT;
typedef struct LiteRtModelT LiteRtModelT;
typedef struct LiteRtOptionsT LiteRtOptionsT;
typedef struct LiteRtOpaqueOptionsT LiteRtOpaqueOptionsT;
typedef struct LiteRtCompiledModelT LiteRtCompiledModelT;
typedef struct LiteRtTensorBufferT LiteRtTensorBufferT;
typedef struct LiteRtTensorBufferRequirementsT LiteRtTensorBufferRequirementsT;

typedef int LiteRtStatus;
static const LiteRtStatus LITERT_OK = 0;

// LiteRtHwAccelerators, a set of bits.
static const int LITERT_ACCELERATOR_CPU = 1;

// LiteRtEnvOptionTag
static const int LITERT_OPTION_ACCELERATORS = 24;  // which accelerators to register, as an integer
static const int LITERT_OPTION_LOG_SEVERITY = 25;  // the least severity that is logged, as an integer
static const int LITERT_LOG_SILENT = 4;

static const int LITERT_ANY_INTEGER = 2;

typedef struct LiteRtEnvOption {
    int tag;
    // LiteRtAny
    struct {
        int type;
        union {
            int64_t integer;
            const void *pointer;
        } content;
    } value;
} LiteRtEnvOption;

#define LITERT_MAX_RANK 8

typedef struct LiteRtLayout {
    uint32_t rank : 7;
    uint32_t has_strides : 1;
    int32_t dimensions[LITERT_MAX_RANK];
    uint32_t strides[LITERT_MAX_RANK];
} LiteRtLayout;

typedef struct LiteRtRankedTensorType {
    int element_type;
    LiteRtLayout layout;
} LiteRtRankedTensorType;

#ifndef __cplusplus
_Static_assert(sizeof(LiteRtEnvOption) == 24, "the library's layout");
_Static_assert(offsetof(LiteRtEnvOption, value) == 8, "the library's layout");
_Static_assert(offsetof(LiteRtEnvOption, value.content) == 16, "the library's layout");
_Static_assert(sizeof(LiteRtLayout) == 68, "the library's layout");
_Static_assert(offsetof(LiteRtLayout, dimensions) == 4, "the library's layout");
_Static_assert(offsetof(LiteRtLayout, strides) == 36, "the library's layout");
_Static_assert(sizeof(LiteRtRankedTensorType) == 72, "the library's layout");
_Static_assert(offsetof(LiteRtRankedTensorType, layout) == 4, "the library's layout");
#endif

// X(result, name, parameters)
#define CLITERT_FUNCTIONS(X)                                                                                          \
    X(LiteRtStatus, CreateEnvironment, (int option_count, const LiteRtEnvOption *options, LiteRtEnvironmentT **out))  \
    X(LiteRtStatus, CreateModelFromBuffer,                                                                            \
      (LiteRtEnvironmentT * environment, const void *bytes, size_t size, LiteRtModelT **out))                         \
    X(void, DestroyModel, (LiteRtModelT * model))                                                                     \
    X(LiteRtStatus, CreateOptions, (LiteRtOptionsT * *out))                                                           \
    X(void, DestroyOptions, (LiteRtOptionsT * options))                                                               \
    X(LiteRtStatus, SetOptionsHardwareAccelerators, (LiteRtOptionsT * options, int accelerators))                     \
    X(LiteRtStatus, CreateOpaqueOptions,                                                                              \
      (const char *identifier, void *payload, void (*destroy)(void *payload), LiteRtOpaqueOptionsT **out))            \
    X(void, DestroyOpaqueOptions, (LiteRtOpaqueOptionsT * options))                                                   \
    X(LiteRtStatus, AddOpaqueOptions, (LiteRtOptionsT * options, LiteRtOpaqueOptionsT * added))                       \
    X(LiteRtStatus, CreateCompiledModel,                                                                              \
      (LiteRtEnvironmentT * environment, LiteRtModelT * model, LiteRtOptionsT * options,                              \
       LiteRtCompiledModelT * *out))                                                                                  \
    X(void, DestroyCompiledModel, (LiteRtCompiledModelT * model))                                                     \
    X(LiteRtStatus, SetCompiledModelCancellationFunction,                                                             \
      (LiteRtCompiledModelT * model, void *context, bool (*is_cancelled)(void *context)))                             \
    X(LiteRtStatus, CompiledModelResizeInputTensorNonStrict,                                                          \
      (LiteRtCompiledModelT * model, size_t signature, size_t input, const int *dimensions, size_t rank))             \
    X(LiteRtStatus, GetCompiledModelOutputTensorLayouts,                                                              \
      (LiteRtCompiledModelT * model, size_t signature, size_t count, LiteRtLayout *layouts, bool allocates))          \
    X(LiteRtStatus, GetCompiledModelOutputBufferRequirements,                                                         \
      (LiteRtCompiledModelT * model, size_t signature, size_t output, LiteRtTensorBufferRequirementsT * *out))        \
    X(LiteRtStatus, GetTensorBufferRequirementsBufferSize,                                                            \
      (LiteRtTensorBufferRequirementsT * requirements, size_t *out))                                                  \
    X(LiteRtStatus, CompiledModelGetErrorMessages, (LiteRtCompiledModelT * model, char **out))                        \
    X(LiteRtStatus, CreateTensorBufferFromHostMemory,                                                                 \
      (const LiteRtRankedTensorType *type, void *bytes, size_t size, void (*destroy)(void *bytes),                    \
       LiteRtTensorBufferT **out))                                                                                    \
    X(void, DestroyTensorBuffer, (LiteRtTensorBufferT * buffer))                                                      \
    X(LiteRtStatus, RunCompiledModel,                                                                                 \
      (LiteRtCompiledModelT * model, size_t signature, size_t input_count, LiteRtTensorBufferT * *inputs,             \
       size_t output_count, LiteRtTensorBufferT **outputs))

// The library's functions, each under its name without the prefix `LiteRt`.
typedef struct CLiteRtFunctions {
#define CLITERT_MEMBER(result, name, parameters) result(*name) parameters;
    CLITERT_FUNCTIONS(CLITERT_MEMBER)
#undef CLITERT_MEMBER
} CLiteRtFunctions;

// How many functions there are in the table.
size_t clitert_function_count(void);

// The exported name of a function; `index` must be below the count.
const char *clitert_function_name(size_t index);

// Enters a function's address into the table; `index` must be below the count.
void clitert_set_function(CLiteRtFunctions *functions, size_t index, void *address);

#ifdef __cplusplus
}
#endif

#endif
