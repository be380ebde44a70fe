// The part of the Redis/Valkey module API that the project uses, declared by ourselves.
//
// Functions are looked up by name when the module is loaded (CRedisModule_Resolve) and called through fixed-arity
// inline shims: Swift cannot call C variadics, nor function pointers held in C globals. A shim compiles to one load
// and one jump. An optional function that an older server lacks stays NULL: ask RedisModule_Has_<name>() first.
#ifndef CREDISMODULE_H
#define CREDISMODULE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CREDISMODULE_HIDDEN __attribute__((visibility("hidden")))

// MARK: Opaque handles

typedef struct RedisModuleCtx RedisModuleCtx;
typedef struct RedisModuleString RedisModuleString;
typedef struct RedisModuleKey RedisModuleKey;
typedef struct RedisModuleIO RedisModuleIO;
typedef struct RedisModuleType RedisModuleType;
typedef struct RedisModuleDigest RedisModuleDigest;
typedef struct RedisModuleInfoCtx RedisModuleInfoCtx;
typedef struct RedisModuleBlockedClient RedisModuleBlockedClient;
typedef struct RedisModuleCommand RedisModuleCommand;
typedef struct RedisModuleCallReply RedisModuleCallReply;
typedef struct RedisModuleUser RedisModuleUser;

// MARK: Constants

static const int RM_OK = 0;
static const int RM_ERR = 1;
static const int RM_API_VERSION = 1;
static const int RM_TYPE_METHODS_VERSION = 3;
static const int RM_READ = 1 << 0;
static const int RM_WRITE = 1 << 1;
static const int RM_KEYTYPE_EMPTY = 0;
static const int RM_KEYTYPE_MODULE = 6;
static const int RM_OPTION_HANDLE_IO_ERRORS = 1 << 0;

static const int RM_REPLY_STRING = 0;
static const int RM_REPLY_ERROR = 1;
static const int RM_REPLY_INTEGER = 2;
static const int RM_REPLY_ARRAY = 3;

static const int RM_CONTEXT_LUA = 1 << 0;
static const int RM_CONTEXT_MULTI = 1 << 1;
static const int RM_CONTEXT_READONLY = 1 << 4;
static const int RM_CONTEXT_CLUSTER = 1 << 5;
static const int RM_CONTEXT_OUT_OF_MEMORY = 1 << 10;
static const int RM_CONTEXT_REPLICATED = 1 << 12;
static const int RM_CONTEXT_LOADING = 1 << 13;
static const int RM_CONTEXT_DENY_BLOCKING = 1 << 21;

static const int RM_KEY_READ_ONLY = 1 << 0;
static const int RM_KEY_READ_WRITE = 1 << 1;
static const int RM_KEY_OVERWRITE = 1 << 2;
static const int RM_KEY_REMOVE = 1 << 3;
static const int RM_KEY_ACCESS = 1 << 4;
static const int RM_KEY_UPDATE = 1 << 5;
static const int RM_KEY_DELETE = 1 << 7;

static const int RM_ACL_LOG_COMMAND = 1;
static const int RM_ACL_LOG_KEY = 2;

// Class `d` of notify-keyspace-events: what modules do to keys of their own types.
static const int RM_NOTIFY_MODULE = 1 << 13;

static const int RM_NODE_ID_LENGTH = 40;
static const int RM_CLIENT_INFO_VERSION = 1;
static const int RM_CLIENT_INFO_TLS = 1 << 0;

static const int RM_CONFIG_IMMUTABLE = 1 << 0;
static const int RM_EVENT_SHUTDOWN = 5;
static const int RM_EVENT_CRON_LOOP = 8;
static const int RM_EVENT_EVENT_LOOP = 15;
static const uint64_t RM_SUBEVENT_BEFORE_SLEEP = 0;

// MARK: Structures handed to the server

typedef int (*RedisModuleCmdFunc)(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);
typedef void (*RedisModuleFreePrivateDataFunc)(RedisModuleCtx *ctx, void *privdata);
typedef void (*RedisModuleDisconnectFunc)(RedisModuleCtx *ctx, RedisModuleBlockedClient *client);
typedef void (*RedisModuleInfoFunc)(RedisModuleInfoCtx *ctx, int for_crash_report);
typedef void (*RedisModuleEventLoopOneShotFunc)(void *user_data);
typedef long long (*RedisModuleConfigGetNumericFunc)(const char *name, void *privdata);
typedef int (*RedisModuleConfigSetNumericFunc)(const char *name, long long value, void *privdata,
                                               RedisModuleString **err);
typedef int (*RedisModuleConfigApplyFunc)(RedisModuleCtx *ctx, void *privdata, RedisModuleString **err);

typedef struct RedisModuleEvent {
    uint64_t id;
    uint64_t dataver;
} RedisModuleEvent;
typedef void (*RedisModuleEventCallback)(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t subevent, void *data);

typedef void (*RedisModuleUserChangedFunc)(uint64_t client_id, void *private_data);
typedef struct RedisModuleClientInfo {
    uint64_t version;
    uint64_t flags;
    uint64_t id;
    char address[46];
    uint16_t port;
    uint16_t database;
} RedisModuleClientInfo;

// Layout of version 3 of the type methods: known to every server from 6.2 on.
typedef struct RedisModuleTypeMethods {
    uint64_t version;
    void *(*rdb_load)(RedisModuleIO *io, int encoding_version);
    void (*rdb_save)(RedisModuleIO *io, void *value);
    void (*aof_rewrite)(RedisModuleIO *io, RedisModuleString *key, void *value);
    size_t (*mem_usage)(const void *value);
    void (*digest)(RedisModuleDigest *digest, void *value);
    void (*free)(void *value);
    int (*aux_load)(RedisModuleIO *io, int encoding_version, int when);
    void (*aux_save)(RedisModuleIO *io, int when);
    int aux_save_triggers;
    size_t (*free_effort)(RedisModuleString *key, const void *value);
    void (*unlink)(RedisModuleString *key, const void *value);
    void *(*copy)(RedisModuleString *from, RedisModuleString *to, const void *value);
    int (*defrag)(void *ctx, RedisModuleString *key, void **value);
} RedisModuleTypeMethods;

typedef enum {
    RM_ARGUMENT_STRING,
    RM_ARGUMENT_INTEGER,
    RM_ARGUMENT_DOUBLE,
    RM_ARGUMENT_KEY,
    RM_ARGUMENT_PATTERN,
    RM_ARGUMENT_UNIX_TIME,
    RM_ARGUMENT_PURE_TOKEN,
    RM_ARGUMENT_ONE_OF,
    RM_ARGUMENT_BLOCK,
} RedisModuleCommandArgType;

static const int RM_ARGUMENT_OPTIONAL = 1 << 0;
static const int RM_ARGUMENT_MULTIPLE = 1 << 1;

typedef struct RedisModuleCommandArg {
    const char *name;
    RedisModuleCommandArgType type;
    int key_spec_index;
    const char *token;
    const char *summary;
    const char *since;
    int flags;
    const char *deprecated_since;
    struct RedisModuleCommandArg *subargs;
    const char *display_text;
} RedisModuleCommandArg;

typedef struct RedisModuleCommandHistoryEntry {
    const char *since;
    const char *changes;
} RedisModuleCommandHistoryEntry;

typedef enum {
    RM_KEYSPEC_BEGIN_INVALID,
    RM_KEYSPEC_BEGIN_UNKNOWN,
    RM_KEYSPEC_BEGIN_INDEX,
    RM_KEYSPEC_BEGIN_KEYWORD,
} RedisModuleKeySpecBeginSearchType;
typedef enum {
    RM_KEYSPEC_FIND_OMITTED,
    RM_KEYSPEC_FIND_UNKNOWN,
    RM_KEYSPEC_FIND_RANGE,
    RM_KEYSPEC_FIND_KEYNUM,
} RedisModuleKeySpecFindKeysType;

typedef struct RedisModuleCommandKeySpec {
    const char *notes;
    uint64_t flags;
    RedisModuleKeySpecBeginSearchType begin_search_type;
    union {
        struct {
            int pos;
        } index;
        struct {
            const char *keyword;
            int startfrom;
        } keyword;
    } bs;
    RedisModuleKeySpecFindKeysType find_keys_type;
    union {
        struct {
            int lastkey;
            int keystep;
            int limit;
        } range;
        struct {
            int keynumidx;
            int firstkey;
            int keystep;
        } keynum;
    } fk;
} RedisModuleCommandKeySpec;

typedef struct RedisModuleCommandInfoVersion {
    int version;
    size_t sizeof_historyentry;
    size_t sizeof_keyspec;
    size_t sizeof_arg;
} RedisModuleCommandInfoVersion;

typedef struct RedisModuleCommandInfo {
    const RedisModuleCommandInfoVersion *version;
    const char *summary;
    const char *complexity;
    const char *since;
    RedisModuleCommandHistoryEntry *history;
    const char *tips;
    int arity;
    RedisModuleCommandKeySpec *key_specs;
    RedisModuleCommandArg *args;
} RedisModuleCommandInfo;

// MARK: Functions: X(result, name, parameters, arguments)

#define CREDISMODULE_REQUIRED(X)                                                                                      \
    /* Memory */                                                                                                      \
    X(void *, Alloc, (size_t bytes), (bytes))                                                                         \
    X(void *, Calloc, (size_t count, size_t size), (count, size))                                                     \
    X(void *, TryAlloc, (size_t bytes), (bytes))                                                                      \
    X(void, Free, (void *pointer), (pointer))                                                                         \
    X(size_t, MallocSize, (void *pointer), (pointer))                                                                 \
    /* Module and commands */                                                                                         \
    X(void, SetModuleAttribs, (RedisModuleCtx * ctx, const char *name, int version, int api_version),                 \
      (ctx, name, version, api_version))                                                                              \
    X(int, IsModuleNameBusy, (const char *name), (name))                                                              \
    X(void, SetModuleOptions, (RedisModuleCtx * ctx, int options), (ctx, options))                                    \
    X(int, CreateCommand,                                                                                             \
      (RedisModuleCtx * ctx, const char *name, RedisModuleCmdFunc function, const char *flags, int first, int last,   \
       int step),                                                                                                     \
      (ctx, name, function, flags, first, last, step))                                                                \
    X(RedisModuleCommand *, GetCommand, (RedisModuleCtx * ctx, const char *name), (ctx, name))                        \
    X(int, SetCommandInfo, (RedisModuleCommand * command, const RedisModuleCommandInfo *info), (command, info))       \
    X(int, IsKeysPositionRequest, (RedisModuleCtx * ctx), (ctx))                                                      \
    X(void, KeyAtPosWithFlags, (RedisModuleCtx * ctx, int position, int flags), (ctx, position, flags))               \
    X(int, GetContextFlags, (RedisModuleCtx * ctx), (ctx))                                                            \
    X(int, SubscribeToServerEvent, (RedisModuleCtx * ctx, RedisModuleEvent event, RedisModuleEventCallback callback), \
      (ctx, event, callback))                                                                                         \
    X(int, EventLoopAddOneShot, (RedisModuleEventLoopOneShotFunc function, void *user_data), (function, user_data))   \
    /* Clients, users and what they may do */                                                                          \
    X(unsigned long long, GetClientId, (RedisModuleCtx * ctx), (ctx))                                                 \
    X(RedisModuleString *, GetCurrentUserName, (RedisModuleCtx * ctx), (ctx))                                         \
    X(RedisModuleUser *, GetModuleUserFromUserName, (RedisModuleString * name), (name))                               \
    X(int, FreeModuleUser, (RedisModuleUser * user), (user))                                                          \
    X(int, AuthenticateClientWithACLUser,                                                                             \
      (RedisModuleCtx * ctx, const char *name, size_t length, RedisModuleUserChangedFunc callback,                    \
       void *private_data, uint64_t *client_id),                                                                      \
      (ctx, name, length, callback, private_data, client_id))                                                         \
    X(int, ACLCheckCommandPermissions, (RedisModuleUser * user, RedisModuleString * *words, int count),               \
      (user, words, count))                                                                                           \
    X(int, ACLCheckKeyPermissions, (RedisModuleUser * user, RedisModuleString * key, int flags), (user, key, flags))  \
    X(int, ACLAddLogEntry,                                                                                            \
      (RedisModuleCtx * ctx, RedisModuleUser * user, RedisModuleString * object, int reason),                         \
      (ctx, user, object, reason))                                                                                    \
    X(int, AvoidReplicaTraffic, (void), ())                                                                           \
    /* Strings */                                                                                                     \
    X(RedisModuleString *, CreateString, (RedisModuleCtx * ctx, const char *bytes, size_t length),                    \
      (ctx, bytes, length))                                                                                           \
    X(void, FreeString, (RedisModuleCtx * ctx, RedisModuleString *string), (ctx, string))                             \
    X(RedisModuleString *, HoldString, (RedisModuleCtx * ctx, RedisModuleString *string), (ctx, string))              \
    X(const char *, StringPtrLen, (const RedisModuleString *string, size_t *length), (string, length))                \
    X(int, StringToLongLong, (const RedisModuleString *string, long long *value), (string, value))                    \
    X(int, StringToDouble, (const RedisModuleString *string, double *value), (string, value))                         \
    /* Keys */                                                                                                        \
    X(RedisModuleKey *, OpenKey, (RedisModuleCtx * ctx, RedisModuleString *name, int mode), (ctx, name, mode))        \
    X(void, CloseKey, (RedisModuleKey * key), (key))                                                                  \
    X(int, KeyType, (RedisModuleKey * key), (key))                                                                    \
    X(int, DeleteKey, (RedisModuleKey * key), (key))                                                                  \
    X(RedisModuleType *, ModuleTypeGetType, (RedisModuleKey * key), (key))                                            \
    X(void *, ModuleTypeGetValue, (RedisModuleKey * key), (key))                                                      \
    X(int, ModuleTypeSetValue, (RedisModuleKey * key, RedisModuleType *type, void *value), (key, type, value))        \
    X(int, NotifyKeyspaceEvent, (RedisModuleCtx * ctx, int type, const char *event, RedisModuleString *key),          \
      (ctx, type, event, key))                                                                                        \
    X(int, ReplicateVerbatim, (RedisModuleCtx * ctx), (ctx))                                                          \
    /* Replies */                                                                                                     \
    X(int, ReplyWithError, (RedisModuleCtx * ctx, const char *text), (ctx, text))                                     \
    X(int, ReplyWithSimpleString, (RedisModuleCtx * ctx, const char *text), (ctx, text))                              \
    X(int, ReplyWithStringBuffer, (RedisModuleCtx * ctx, const char *bytes, size_t length), (ctx, bytes, length))     \
    X(int, ReplyWithLongLong, (RedisModuleCtx * ctx, long long value), (ctx, value))                                  \
    X(int, ReplyWithDouble, (RedisModuleCtx * ctx, double value), (ctx, value))                                       \
    X(int, ReplyWithNull, (RedisModuleCtx * ctx), (ctx))                                                              \
    X(int, ReplyWithArray, (RedisModuleCtx * ctx, long length), (ctx, length))                                        \
    /* Other threads, and commands of our own */                                                                      \
    X(RedisModuleCtx *, GetThreadSafeContext, (RedisModuleBlockedClient * client), (client))                          \
    X(void, FreeThreadSafeContext, (RedisModuleCtx * ctx), (ctx))                                                     \
    X(int, ThreadSafeContextTryLock, (RedisModuleCtx * ctx), (ctx))                                                   \
    X(void, ThreadSafeContextUnlock, (RedisModuleCtx * ctx), (ctx))                                                   \
    X(int, GetSelectedDb, (RedisModuleCtx * ctx), (ctx))                                                              \
    X(int, SelectDb, (RedisModuleCtx * ctx, int database), (ctx, database))                                           \
    X(void, FreeCallReply, (RedisModuleCallReply * reply), (reply))                                                   \
    X(int, CallReplyType, (RedisModuleCallReply * reply), (reply))                                                    \
    X(long long, CallReplyInteger, (RedisModuleCallReply * reply), (reply))                                           \
    X(size_t, CallReplyLength, (RedisModuleCallReply * reply), (reply))                                               \
    X(RedisModuleCallReply *, CallReplyArrayElement, (RedisModuleCallReply * reply, size_t index), (reply, index))    \
    X(const char *, CallReplyStringPtr, (RedisModuleCallReply * reply, size_t *length), (reply, length))              \
    /* Clusters */                                                                                                    \
    X(int *, GetCommandKeys, (RedisModuleCtx * ctx, RedisModuleString * *words, int count, int *key_count),           \
      (ctx, words, count, key_count))                                                                                 \
    X(const char *, GetMyClusterID, (void), ())                                                                       \
    X(int, GetClientInfoById, (void *info, uint64_t client), (info, client))                                          \
    X(long long, Milliseconds, (void), ())                                                                            \
    /* Blocked clients */                                                                                             \
    X(RedisModuleBlockedClient *, BlockClient,                                                                        \
      (RedisModuleCtx * ctx, RedisModuleCmdFunc reply, RedisModuleCmdFunc timeout,                                    \
       RedisModuleFreePrivateDataFunc free_private_data, long long timeout_ms),                                       \
      (ctx, reply, timeout, free_private_data, timeout_ms))                                                           \
    X(int, UnblockClient, (RedisModuleBlockedClient * client, void *private_data), (client, private_data))            \
    X(RedisModuleBlockedClient *, GetBlockedClientHandle, (RedisModuleCtx * ctx), (ctx))                              \
    X(void, SetDisconnectCallback, (RedisModuleBlockedClient * client, RedisModuleDisconnectFunc callback),           \
      (client, callback))                                                                                             \
    X(void *, GetBlockedClientPrivateData, (RedisModuleCtx * ctx), (ctx))                                             \
    X(int, BlockedClientMeasureTimeStart, (RedisModuleBlockedClient * client), (client))                              \
    X(int, BlockedClientMeasureTimeEnd, (RedisModuleBlockedClient * client), (client))                                \
    /* Data types */                                                                                                  \
    X(RedisModuleType *, CreateDataType,                                                                              \
      (RedisModuleCtx * ctx, const char *name, int encoding_version, RedisModuleTypeMethods *methods),                \
      (ctx, name, encoding_version, methods))                                                                         \
    X(void, SaveUnsigned, (RedisModuleIO * io, uint64_t value), (io, value))                                          \
    X(uint64_t, LoadUnsigned, (RedisModuleIO * io), (io))                                                             \
    X(void, SaveSigned, (RedisModuleIO * io, int64_t value), (io, value))                                             \
    X(int64_t, LoadSigned, (RedisModuleIO * io), (io))                                                                \
    X(void, SaveStringBuffer, (RedisModuleIO * io, const char *bytes, size_t length), (io, bytes, length))            \
    X(char *, LoadStringBuffer, (RedisModuleIO * io, size_t *length), (io, length))                                   \
    X(int, IsIOError, (RedisModuleIO * io), (io))                                                                     \
    X(const RedisModuleString *, GetKeyNameFromIO, (RedisModuleIO * io), (io))                                        \
    X(void, DigestAddStringBuffer, (RedisModuleDigest * digest, const char *bytes, size_t length),                    \
      (digest, bytes, length))                                                                                        \
    X(void, DigestAddLongLong, (RedisModuleDigest * digest, long long value), (digest, value))                        \
    X(void, DigestEndSequence, (RedisModuleDigest * digest), (digest))                                                \
    /* INFO */                                                                                                        \
    X(int, RegisterInfoFunc, (RedisModuleCtx * ctx, RedisModuleInfoFunc function), (ctx, function))                   \
    X(int, InfoAddSection, (RedisModuleInfoCtx * ctx, const char *name), (ctx, name))                                 \
    X(int, InfoAddFieldCString, (RedisModuleInfoCtx * ctx, const char *field, const char *value),                     \
      (ctx, field, value))                                                                                            \
    X(int, InfoAddFieldLongLong, (RedisModuleInfoCtx * ctx, const char *field, long long value),                      \
      (ctx, field, value))

#define CREDISMODULE_OPTIONAL(X)                                                                                      \
    /* 7.4, Valkey 8 */                                                                                               \
    X(void *, TryCalloc, (size_t count, size_t size), (count, size))                                                  \
    /* 7.2 and 7.4, Valkey 8: categories of commands in access control lists */                                       \
    X(int, SetCommandACLCategories, (RedisModuleCommand * command, const char *categories), (command, categories))    \
    X(int, AddACLCategory, (RedisModuleCtx * ctx, const char *name), (ctx, name))                                     \
    /* Valkey 9: whether a client's commands must be carried out, such as those of the primary */                     \
    X(int, MustObeyClient, (RedisModuleCtx * ctx), (ctx))                                                             \
    /* 7.0: configuration shown by CONFIG GET */                                                                      \
    X(int, RegisterNumericConfig,                                                                                     \
      (RedisModuleCtx * ctx, const char *name, long long default_value, unsigned int flags, long long minimum,        \
       long long maximum, RedisModuleConfigGetNumericFunc get, RedisModuleConfigSetNumericFunc set,                   \
       RedisModuleConfigApplyFunc apply, void *private_data),                                                         \
      (ctx, name, default_value, flags, minimum, maximum, get, set, apply, private_data))                             \
    X(int, LoadConfigs, (RedisModuleCtx * ctx), (ctx))

#define CREDISMODULE_SHIM(result, name, parameters, arguments)                                                        \
    CREDISMODULE_HIDDEN extern result(*credismodule_##name) parameters;                                               \
    static inline result RedisModule_##name parameters { return credismodule_##name arguments; }
CREDISMODULE_REQUIRED(CREDISMODULE_SHIM)
CREDISMODULE_OPTIONAL(CREDISMODULE_SHIM)
#undef CREDISMODULE_SHIM

#define CREDISMODULE_HAS(result, name, parameters, arguments)                                                         \
    static inline bool RedisModule_Has_##name(void) { return credismodule_##name != NULL; }
CREDISMODULE_OPTIONAL(CREDISMODULE_HAS)
#undef CREDISMODULE_HAS

// MARK: Variadic functions, by fixed forms

CREDISMODULE_HIDDEN extern void (*credismodule_Log)(RedisModuleCtx *ctx, const char *level, const char *format, ...);
CREDISMODULE_HIDDEN extern void (*credismodule_LogIOError)(RedisModuleIO *io, const char *level, const char *format,
                                                           ...);
CREDISMODULE_HIDDEN extern int (*credismodule_Replicate)(RedisModuleCtx *ctx, const char *command, const char *format,
                                                         ...);
CREDISMODULE_HIDDEN extern void (*credismodule_EmitAOF)(RedisModuleIO *io, const char *command, const char *format,
                                                        ...);
CREDISMODULE_HIDDEN extern RedisModuleCallReply *(*credismodule_Call)(RedisModuleCtx *ctx, const char *command,
                                                                      const char *format, ...);

static inline void RedisModule_LogText(RedisModuleCtx *ctx, const char *level, const char *text) {
    credismodule_Log(ctx, level, "%s", text);
}
static inline void RedisModule_LogIOErrorText(RedisModuleIO *io, const char *level, const char *text) {
    credismodule_LogIOError(io, level, "%s", text);
}
static inline int RedisModule_ReplicateVector(RedisModuleCtx *ctx, const char *command, RedisModuleString **arguments,
                                              size_t count) {
    return credismodule_Replicate(ctx, command, "v", arguments, count);
}
static inline void RedisModule_EmitAOFVector(RedisModuleIO *io, const char *command, RedisModuleString **arguments,
                                             size_t count) {
    credismodule_EmitAOF(io, command, "v", arguments, count);
}

// Runs a command; `format` holds the flags and a `v` for the arguments. NULL, and a number of errno.h in `error`, when the
// server refuses to run it.
static inline RedisModuleCallReply *RedisModule_CallVector(RedisModuleCtx *ctx, const char *command, const char *format,
                                                           RedisModuleString **arguments, size_t count, int *error) {
    errno = 0;
    RedisModuleCallReply *reply = credismodule_Call(ctx, command, format, arguments, count);
    *error = errno;
    return reply;
}

// MARK: Loading

// Looks every function up through the context given to RedisModule_OnLoad.
// Returns NULL, or the name of the first required function that the server lacks.
const char *CRedisModule_Resolve(RedisModuleCtx *ctx);

// The version block that RedisModule_SetCommandInfo wants in every RedisModuleCommandInfo.
const RedisModuleCommandInfoVersion *CRedisModule_CommandInfoVersion(void);

#endif
