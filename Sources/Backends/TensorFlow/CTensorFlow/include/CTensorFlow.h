// The part of TensorFlow's C interface that the project uses, and of zlib's.
//
// Both libraries are opened at run time, never linked: their functions are looked up by name and called through inline
// shims, so that no header of theirs is needed.
#ifndef CTENSORFLOW_H
#define CTENSORFLOW_H

#include <stddef.h>
#include <stdint.h>

typedef struct TF_Status TF_Status;
typedef struct TF_Tensor TF_Tensor;
typedef struct TF_Graph TF_Graph;
typedef struct TF_Operation TF_Operation;
typedef struct TF_Session TF_Session;
typedef struct TF_SessionOptions TF_SessionOptions;
typedef struct TF_ImportGraphDefOptions TF_ImportGraphDefOptions;
typedef struct TF_DeviceList TF_DeviceList;

// Bytes that the holder frees with `deallocate`; without one they are borrowed.
typedef struct TF_Buffer {
    const void *data;
    size_t length;
    void (*deallocate)(void *data, size_t length);
} TF_Buffer;

// One output of an operation.
typedef struct TF_Output {
    TF_Operation *operation;
    int index;
} TF_Output;

// An element of a string tensor: small strings stand in it, large ones are pointed to.
typedef struct TF_TString {
    uint64_t words[3];
} TF_TString;

typedef void (*TF_Deallocator)(void *data, size_t length, void *argument);

// TF_DataType
static const int TF_FLOAT = 1;
static const int TF_DOUBLE = 2;
static const int TF_INT32 = 3;
static const int TF_UINT8 = 4;
static const int TF_INT16 = 5;
static const int TF_INT8 = 6;
static const int TF_STRING = 7;
static const int TF_INT64 = 9;
static const int TF_BOOL = 10;
static const int TF_UINT16 = 17;

// X(result, name, parameters, arguments), or X0(result, name) for a function without parameters
#define CTENSORFLOW_FUNCTIONS(X0, X)                                                                                  \
    X0(const char *, Version)                                                                                         \
    X0(TF_Buffer *, GetAllOpList)                                                                                     \
    X(void, DeleteBuffer, (TF_Buffer *buffer), (buffer))                                                              \
    X0(TF_Status *, NewStatus)                                                                                        \
    X(void, DeleteStatus, (TF_Status *status), (status))                                                              \
    X(int, GetCode, (const TF_Status *status), (status))                                                              \
    X(const char *, Message, (const TF_Status *status), (status))                                                     \
    X(TF_Tensor *, NewTensor,                                                                                         \
      (int type, const int64_t *dimensions, int rank, void *data, size_t length, TF_Deallocator deallocator,          \
       void *argument),                                                                                               \
      (type, dimensions, rank, data, length, deallocator, argument))                                                  \
    X(void, DeleteTensor, (TF_Tensor *tensor), (tensor))                                                              \
    X(int, TensorType, (const TF_Tensor *tensor), (tensor))                                                           \
    X(int, NumDims, (const TF_Tensor *tensor), (tensor))                                                              \
    X(int64_t, Dim, (const TF_Tensor *tensor, int index), (tensor, index))                                            \
    X(size_t, TensorByteSize, (const TF_Tensor *tensor), (tensor))                                                    \
    X(void *, TensorData, (const TF_Tensor *tensor), (tensor))                                                        \
    X(void, StringInit, (TF_TString *string), (string))                                                               \
    X(void, StringCopy, (TF_TString *string, const char *source, size_t size), (string, source, size))                \
    X(const char *, StringGetDataPointer, (const TF_TString *string), (string))                                       \
    X(size_t, StringGetSize, (const TF_TString *string), (string))                                                    \
    X(void, StringDealloc, (TF_TString *string), (string))                                                            \
    X0(TF_SessionOptions *, NewSessionOptions)                                                                        \
    X(void, SetConfig,                                                                                                \
      (TF_SessionOptions *options, const void *proto, size_t length, TF_Status *status),                              \
      (options, proto, length, status))                                                                               \
    X(void, DeleteSessionOptions, (TF_SessionOptions *options), (options))                                            \
    X0(TF_Graph *, NewGraph)                                                                                          \
    X(void, DeleteGraph, (TF_Graph *graph), (graph))                                                                  \
    X0(TF_ImportGraphDefOptions *, NewImportGraphDefOptions)                                                          \
    X(void, ImportGraphDefOptionsSetDefaultDevice,                                                                    \
      (TF_ImportGraphDefOptions *options, const char *device),                                                        \
      (options, device))                                                                                              \
    X(void, DeleteImportGraphDefOptions, (TF_ImportGraphDefOptions *options), (options))                              \
    X(void, GraphImportGraphDef,                                                                                      \
      (TF_Graph *graph, const TF_Buffer *definition, const TF_ImportGraphDefOptions *options, TF_Status *status),     \
      (graph, definition, options, status))                                                                           \
    X(TF_Operation *, GraphOperationByName, (TF_Graph *graph, const char *name), (graph, name))                       \
    X(const char *, OperationOpType, (TF_Operation *operation), (operation))                                          \
    X(int, OperationNumOutputs, (TF_Operation *operation), (operation))                                               \
    X(int, OperationOutputType, (TF_Output output), (output))                                                         \
    X(int, GraphGetTensorNumDims, (TF_Graph *graph, TF_Output output, TF_Status *status), (graph, output, status))    \
    X(void, GraphGetTensorShape,                                                                                      \
      (TF_Graph *graph, TF_Output output, int64_t *dimensions, int rank, TF_Status *status),                          \
      (graph, output, dimensions, rank, status))                                                                      \
    X(TF_Session *, NewSession,                                                                                       \
      (TF_Graph *graph, const TF_SessionOptions *options, TF_Status *status),                                         \
      (graph, options, status))                                                                                       \
    X(TF_Session *, LoadSessionFromSavedModel,                                                                        \
      (const TF_SessionOptions *options, const TF_Buffer *run_options, const char *folder, const char *const *tags,   \
       int tag_count, TF_Graph *graph, TF_Buffer *meta_graph, TF_Status *status),                                     \
      (options, run_options, folder, tags, tag_count, graph, meta_graph, status))                                     \
    X(void, CloseSession, (TF_Session *session, TF_Status *status), (session, status))                                \
    X(void, DeleteSession, (TF_Session *session, TF_Status *status), (session, status))                               \
    X(void, SessionRun,                                                                                               \
      (TF_Session *session, const TF_Buffer *run_options, const TF_Output *inputs, TF_Tensor *const                   \
       *input_values, int input_count, const TF_Output *outputs, TF_Tensor **output_values, int output_count,         \
       const TF_Operation *const *targets, int target_count, TF_Buffer *run_metadata, TF_Status *status),             \
      (session, run_options, inputs, input_values, input_count, outputs, output_values, output_count, targets,        \
       target_count, run_metadata, status))                                                                           \
    X(TF_DeviceList *, SessionListDevices, (TF_Session *session, TF_Status *status), (session, status))               \
    X(int, DeviceListCount, (const TF_DeviceList *list), (list))                                                      \
    X(const char *, DeviceListType,                                                                                   \
      (const TF_DeviceList *list, int index, TF_Status *status),                                                      \
      (list, index, status))                                                                                          \
    X(void, DeleteDeviceList, (TF_DeviceList *list), (list))

// The functions of an opened library.
typedef struct CTensorFlow {
#define X0(result, name) result (*name)(void);
#define X(result, name, parameters, arguments) result(*name) parameters;
    CTENSORFLOW_FUNCTIONS(X0, X)
#undef X0
#undef X
} CTensorFlow;

// The names to look up, in the order of the table, and how many they are.
const char *const *ctensorflow_function_names(void);
long ctensorflow_function_count(void);

// Each function as `Tf_<Name>(table, arguments...)`.
#define CTENSORFLOW_LIST(...) __VA_ARGS__
#define X0(result, name) \
    static inline result Tf_##name(const CTensorFlow *tf) { return tf->name(); }
#define X(result, name, parameters, arguments) \
    static inline result Tf_##name(const CTensorFlow *tf, CTENSORFLOW_LIST parameters) { return tf->name arguments; }
CTENSORFLOW_FUNCTIONS(X0, X)
#undef X0
#undef X

// MARK: zlib

// The state of a decompression as zlib lays it out.
typedef struct CZlibStream {
    const uint8_t *next_in;
    unsigned available_in;
    unsigned long total_in;
    uint8_t *next_out;
    unsigned available_out;
    unsigned long total_out;
    const char *message;
    void *state;
    void *(*allocate)(void *opaque, unsigned items, unsigned size);
    void (*release)(void *opaque, void *block);
    void *opaque;
    int data_type;
    unsigned long adler;
    unsigned long reserved;
} CZlibStream;

typedef int (*CZlibInflateInit)(CZlibStream *stream, int window_bits, const char *version, int stream_size);
typedef int (*CZlibInflate)(CZlibStream *stream, int flush);
typedef int (*CZlibInflateEnd)(CZlibStream *stream);

static const int CZLIB_OK = 0;
static const int CZLIB_STREAM_END = 1;

// MARK: Logging

// `absl::SetMinLogLevel`: messages below the level are dropped.
typedef void (*CAbslSetMinLogLevel)(int level);

// MARK: Memory

// Has the library do without memory for tensors for which the process, with what it has in memory, would exceed `process`
// bytes. `function` is any of the library's. 0 when it takes its memory in another way than is known: there is no limit then.
int ctensorflow_limit_memory(const void *function, size_t process);

#endif
