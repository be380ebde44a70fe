// The part of ONNX Runtime's C interface that the project uses.
//
// The library's function table is append-only: a function's position never changes. Each function is declared here by
// position and called through an inline shim, so that no header of the library is needed and the library itself is
// opened at run time, never linked.
#ifndef CONNXRUNTIME_H
#define CONNXRUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct OrtApi OrtApi;  // a table of function pointers
typedef struct OrtEnv OrtEnv;
typedef struct OrtStatus OrtStatus;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtThreadingOptions OrtThreadingOptions;
typedef struct OrtValue OrtValue;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtCUDAProviderOptionsV2 OrtCUDAProviderOptionsV2;
typedef struct OrtTensorRTProviderOptionsV2 OrtTensorRTProviderOptionsV2;

typedef struct OrtApiBase {
    const OrtApi *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} OrtApiBase;

typedef const OrtApiBase *(*OrtGetApiBaseFunction)(void);

// The oldest interface that has every function below: ONNX Runtime 1.14.
static const uint32_t ORT_REQUIRED_API_VERSION = 14;

// ONNXTensorElementDataType
static const int ORT_FLOAT = 1;
static const int ORT_UINT8 = 2;
static const int ORT_INT8 = 3;
static const int ORT_UINT16 = 4;
static const int ORT_INT16 = 5;
static const int ORT_INT32 = 6;
static const int ORT_INT64 = 7;
static const int ORT_STRING = 8;
static const int ORT_BOOL = 9;
static const int ORT_DOUBLE = 11;

// ONNXType
static const int ORT_TYPE_TENSOR = 1;
static const int ORT_TYPE_SEQUENCE = 2;
static const int ORT_TYPE_MAP = 3;

static const int ORT_LOG_FATAL = 4;
static const int ORT_OPTIMIZE_ALL = 99;
static const int ORT_EXECUTE_SEQUENTIALLY = 0;
static const int ORT_EXECUTE_IN_PARALLEL = 1;
static const int ORT_DEVICE_ALLOCATOR = 0;
static const int ORT_DEFAULT_MEMORY = 0;

// An allocator in the form the library wants. Later entries are read only if `version` says that they are there.
typedef struct OrtAllocator {
    uint32_t version;
    void *(*Alloc)(struct OrtAllocator *self, size_t size);
    void (*Free)(struct OrtAllocator *self, void *block);
    const OrtMemoryInfo *(*Info)(const struct OrtAllocator *self);
} OrtAllocator;

// X(position, result, name, parameters, arguments)
#define CONNXRUNTIME_FUNCTIONS(X)                                                                                     \
    X(2, const char *, GetErrorMessage, (const OrtStatus *status), (status))                       \
    X(8, OrtStatus *, CreateSessionFromArray,                                                                         \
      (const OrtEnv *env, const void *model, size_t length, const OrtSessionOptions *options,      \
       OrtSession **out),                                                                                             \
      (env, model, length, options, out))                                                                             \
    X(9, OrtStatus *, Run,                                                                                            \
      (OrtSession *session, const OrtRunOptions *options, const char *const *input_names,          \
       const OrtValue *const *inputs, size_t input_count, const char *const *output_names, size_t output_count,       \
       OrtValue **outputs),                                                                                           \
      (session, options, input_names, inputs, input_count, output_names, output_count, outputs))                      \
    X(10, OrtStatus *, CreateSessionOptions, (OrtSessionOptions **out), (out))                     \
    X(13, OrtStatus *, SetSessionExecutionMode, (OrtSessionOptions *options, int mode),            \
      (options, mode))                                                                                                \
    X(22, OrtStatus *, SetSessionLogSeverityLevel, (OrtSessionOptions *options, int level),        \
      (options, level))                                                                                               \
    X(23, OrtStatus *, SetSessionGraphOptimizationLevel, (OrtSessionOptions *options, int level),  \
      (options, level))                                                                                               \
    X(30, OrtStatus *, SessionGetInputCount, (const OrtSession *session, size_t *out),             \
      (session, out))                                                                                                 \
    X(31, OrtStatus *, SessionGetOutputCount, (const OrtSession *session, size_t *out),            \
      (session, out))                                                                                                 \
    X(33, OrtStatus *, SessionGetInputTypeInfo,                                                                       \
      (const OrtSession *session, size_t index, OrtTypeInfo **out), (session, index, out))         \
    X(36, OrtStatus *, SessionGetInputName,                                                                           \
      (const OrtSession *session, size_t index, OrtAllocator *allocator, char **out),              \
      (session, index, allocator, out))                                                                               \
    X(37, OrtStatus *, SessionGetOutputName,                                                                          \
      (const OrtSession *session, size_t index, OrtAllocator *allocator, char **out),              \
      (session, index, allocator, out))                                                                               \
    X(39, OrtStatus *, CreateRunOptions, (OrtRunOptions **out), (out))                             \
    X(46, OrtStatus *, RunOptionsSetTerminate, (OrtRunOptions *options), (options))                \
    X(47, OrtStatus *, RunOptionsUnsetTerminate, (OrtRunOptions *options), (options))              \
    X(48, OrtStatus *, CreateTensorAsOrtValue,                                                                        \
      (OrtAllocator *allocator, const int64_t *shape, size_t rank, int type, OrtValue **out),      \
      (allocator, shape, rank, type, out))                                                                            \
    X(49, OrtStatus *, CreateTensorWithDataAsOrtValue,                                                                \
      (const OrtMemoryInfo *info, void *data, size_t length, const int64_t *shape, size_t rank,    \
       int type, OrtValue **out),                                                                                     \
      (info, data, length, shape, rank, type, out))                                                                   \
    X(51, OrtStatus *, GetTensorMutableData, (OrtValue *value, void **out), (value, out))          \
    X(52, OrtStatus *, FillStringTensor,                                                                              \
      (OrtValue *value, const char *const *strings, size_t count), (value, strings, count))        \
    X(53, OrtStatus *, GetStringTensorDataLength, (const OrtValue *value, size_t *out),            \
      (value, out))                                                                                                   \
    X(54, OrtStatus *, GetStringTensorContent,                                                                        \
      (const OrtValue *value, void *bytes, size_t length, size_t *offsets, size_t count),          \
      (value, bytes, length, offsets, count))                                                                         \
    X(55, OrtStatus *, CastTypeInfoToTensorInfo,                                                                      \
      (const OrtTypeInfo *info, const OrtTensorTypeAndShapeInfo **out), (info, out))               \
    X(60, OrtStatus *, GetTensorElementType,                                                                          \
      (const OrtTensorTypeAndShapeInfo *info, int *out), (info, out))                              \
    X(61, OrtStatus *, GetDimensionsCount,                                                                            \
      (const OrtTensorTypeAndShapeInfo *info, size_t *out), (info, out))                           \
    X(62, OrtStatus *, GetDimensions,                                                                                 \
      (const OrtTensorTypeAndShapeInfo *info, int64_t *dimensions, size_t count),                  \
      (info, dimensions, count))                                                                                      \
    X(65, OrtStatus *, GetTensorTypeAndShape,                                                                         \
      (const OrtValue *value, OrtTensorTypeAndShapeInfo **out), (value, out))                      \
    X(67, OrtStatus *, GetValueType, (const OrtValue *value, int *out), (value, out))              \
    X(68, OrtStatus *, CreateMemoryInfo,                                                                              \
      (const char *name, int allocator_type, int id, int memory_type, OrtMemoryInfo **out),        \
      (name, allocator_type, id, memory_type, out))                                                                   \
    X(80, OrtStatus *, GetValue,                                                                                      \
      (const OrtValue *value, int index, OrtAllocator *allocator, OrtValue **out),                 \
      (value, index, allocator, out))                                                                                 \
    X(81, OrtStatus *, GetValueCount, (const OrtValue *value, size_t *out), (value, out))          \
    X(93, void, ReleaseStatus, (OrtStatus *status), (status))                                      \
    X(95, void, ReleaseSession, (OrtSession *session), (session))                                  \
    X(96, void, ReleaseValue, (OrtValue *value), (value))                                          \
    X(97, void, ReleaseRunOptions, (OrtRunOptions *options), (options))                            \
    X(98, void, ReleaseTypeInfo, (OrtTypeInfo *info), (info))                                      \
    X(99, void, ReleaseTensorTypeAndShapeInfo, (OrtTensorTypeAndShapeInfo *info), (info))          \
    X(100, void, ReleaseSessionOptions, (OrtSessionOptions *options), (options))                   \
    X(119, OrtStatus *, CreateEnvWithGlobalThreadPools,                                                               \
      (int log_level, const char *log_id, const OrtThreadingOptions *threading, OrtEnv **out),     \
      (log_level, log_id, threading, out))                                                                            \
    X(120, OrtStatus *, DisablePerSessionThreads, (OrtSessionOptions *options), (options))         \
    X(121, OrtStatus *, CreateThreadingOptions, (OrtThreadingOptions **out), (out))                \
    X(122, void, ReleaseThreadingOptions, (OrtThreadingOptions *options), (options))               \
    X(125, OrtStatus *, GetAvailableProviders, (char ***names, int *count), (names, count))                            \
    X(126, OrtStatus *, ReleaseAvailableProviders, (char **names, int count), (names, count))                          \
    X(130, OrtStatus *, AddSessionConfigEntry,                                                                        \
      (OrtSessionOptions *options, const char *key, const char *value), (options, key, value))     \
    X(147, OrtStatus *, SetGlobalIntraOpNumThreads, (OrtThreadingOptions *options, int threads),   \
      (options, threads))                                                                                             \
    X(148, OrtStatus *, SetGlobalInterOpNumThreads, (OrtThreadingOptions *options, int threads),   \
      (options, threads))                                                                                             \
    X(149, OrtStatus *, SetGlobalSpinControl, (OrtThreadingOptions *options, int spin),            \
      (options, spin))                                                                                                \
    X(170, OrtStatus *, SessionOptionsAppendExecutionProvider_TensorRT_V2,                                             \
      (OrtSessionOptions *options, const OrtTensorRTProviderOptionsV2 *provider), (options, provider))                 \
    X(171, OrtStatus *, CreateTensorRTProviderOptions, (OrtTensorRTProviderOptionsV2 **out), (out))                    \
    X(172, OrtStatus *, UpdateTensorRTProviderOptions,                                                                 \
      (OrtTensorRTProviderOptionsV2 *provider, const char *const *keys, const char *const *values, size_t count),      \
      (provider, keys, values, count))                                                                                 \
    X(174, void, ReleaseTensorRTProviderOptions, (OrtTensorRTProviderOptionsV2 *provider), (provider))                 \
    X(176, OrtStatus *, RegisterAllocator, (OrtEnv *env, OrtAllocator *allocator),                 \
      (env, allocator))                                                                                                \
    X(204, OrtStatus *, SessionOptionsAppendExecutionProvider_CUDA_V2,                                                 \
      (OrtSessionOptions *options, const OrtCUDAProviderOptionsV2 *provider), (options, provider))                     \
    X(205, OrtStatus *, CreateCUDAProviderOptions, (OrtCUDAProviderOptionsV2 **out), (out))                            \
    X(206, OrtStatus *, UpdateCUDAProviderOptions,                                                                     \
      (OrtCUDAProviderOptionsV2 *provider, const char *const *keys, const char *const *values, size_t count),          \
      (provider, keys, values, count))                                                                                 \
    X(208, void, ReleaseCUDAProviderOptions, (OrtCUDAProviderOptionsV2 *provider), (provider))

#define CONNXRUNTIME_WITH_API(...) (const OrtApi *api, __VA_ARGS__)
#define CONNXRUNTIME_SHIM(position, result, name, parameters, arguments)                                              \
    typedef result(*Ort_##name##_Function) parameters;                                                                \
    static inline result Ort_##name CONNXRUNTIME_WITH_API parameters {                                                \
        return ((Ort_##name##_Function)((void *const *)api)[position])arguments;                                      \
    }
CONNXRUNTIME_FUNCTIONS(CONNXRUNTIME_SHIM)
#undef CONNXRUNTIME_SHIM
#undef CONNXRUNTIME_WITH_API

// MARK: The allocator that the library is given

typedef void *(*ConnxAllocate)(size_t bytes);
typedef void (*ConnxDeallocate)(void *block);
typedef size_t (*ConnxUsableSize)(void *block);

typedef struct ConnxAllocator ConnxAllocator;

// Makes an allocator that counts, and that refuses what would exceed `limit` bytes in all (0: no limit). It lives as
// long as the process. `info` describes CPU memory and must live as long. NULL when there is no memory.
ConnxAllocator *connx_allocator_create(const OrtMemoryInfo *info, ConnxAllocate allocate, ConnxDeallocate deallocate,
                                       ConnxUsableSize usable_size, size_t limit);

// The form in which the library takes it.
OrtAllocator *connx_allocator_interface(ConnxAllocator *allocator);

// Bytes in use, as the underlying allocator counts them.
size_t connx_allocator_bytes(const ConnxAllocator *allocator);

// Allocations and releases so far.
size_t connx_allocator_accesses(const ConnxAllocator *allocator);
void connx_allocator_add_accesses(ConnxAllocator *allocator, size_t count);

// Counts memory that the library takes by other ways, or (negative) gives back. Returns 0, and counts nothing, when that
// would exceed the limit.
int connx_allocator_charge(ConnxAllocator *allocator, int64_t bytes);

// Gives back the large blocks that are kept for the next run.
void connx_allocator_trim(ConnxAllocator *allocator);

// Net bytes that the calling thread has allocated so far: the difference over a piece of work tells its cost.
int64_t connx_allocator_thread_bytes(void);

// While a thread does not count, its accesses are left out of connx_allocator_accesses().
void connx_allocator_set_counting(int counts);

#ifdef __cplusplus
}
#endif

#endif
