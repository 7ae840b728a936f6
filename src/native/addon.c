// Registration of the addon's functions, and access to their arguments. binding.ts describes each function.
#include "addon.h"

#include <stdlib.h>
#include <string.h>

// A typed array that was looked up once: a turn of the data plane names thirteen, and a call that names six
// and does nothing takes a quarter of the time with pinned ones (build/src/bench/addon.bench.js).
typedef struct {
  uint64_t magic;
  napi_typedarray_type type;
  size_t count;
  void *data;
  napi_ref array; // keeps the memory
} Pinned;

static const uint64_t PINNED = 0x706f647769726531; // told from the externals of other addons

void args_load(Args *args, napi_env env, napi_callback_info info, size_t want) {
  args->env = env;
  args->count = MAX_ARGS;
  args->bad = napi_get_cb_info(env, info, &args->count, args->value, NULL, NULL) != napi_ok;
  if (args->count < want) args->bad = true;
}

int32_t arg_int(Args *args, size_t i) {
  int32_t value = 0;
  if (!args->bad && napi_get_value_int32(args->env, args->value[i], &value) != napi_ok) args->bad = true;
  return value;
}

double arg_double(Args *args, size_t i) {
  double value = 0;
  if (!args->bad && napi_get_value_double(args->env, args->value[i], &value) != napi_ok) args->bad = true;
  return value;
}

// Works on views of ArrayBuffer and SharedArrayBuffer alike, and on what `pin` made of them. The view's own
// offset is already in the pointer.
static void *typed_array(Args *args, size_t i, napi_typedarray_type want, size_t *count) {
  static double empty; // a zero-length view may have no memory: give the sums an address they will not read
  napi_typedarray_type type;
  void *data = NULL;
  *count = 0;
  if (args->bad) return &empty;
  if (napi_get_value_external(args->env, args->value[i], &data) == napi_ok) {
    const Pinned *pinned = data;
    if (pinned->magic == PINNED && pinned->type == want) {
      *count = pinned->count;
      return *count == 0 ? &empty : pinned->data;
    }
    args->bad = true;
    return &empty;
  }
  napi_status status = napi_get_typedarray_info(args->env, args->value[i], &type, count, &data, NULL, NULL);
  if (status != napi_ok || type != want) {
    args->bad = true;
    *count = 0;
  }
  return *count == 0 ? &empty : data;
}

Bytes arg_bytes(Args *args, size_t i) {
  Bytes b;
  b.data = typed_array(args, i, napi_uint8_array, &b.bytes);
  return b;
}

Ints arg_ints(Args *args, size_t i) {
  Ints n;
  n.data = typed_array(args, i, napi_int32_array, &n.count);
  return n;
}

Doubles arg_doubles(Args *args, size_t i) {
  Doubles d;
  d.data = typed_array(args, i, napi_float64_array, &d.count);
  return d;
}

int arg_string(Args *args, size_t i, char *to, size_t bytes) {
  size_t needed = 0, got = 0;
  to[0] = '\0';
  if (args->bad || napi_get_value_string_utf8(args->env, args->value[i], NULL, 0, &needed) != napi_ok) {
    args->bad = true;
    return 0;
  }
  if (needed >= bytes) return -EINVAL;
  napi_get_value_string_utf8(args->env, args->value[i], to, bytes, &got);
  return strlen(to) == needed ? 0 : -EINVAL;
}

napi_value return_int(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int32(env, (int32_t)value, &result);
  return result;
}

napi_value throw_type_error(napi_env env) {
  const char *message = "podwire addon: an argument is missing or of the wrong type";
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return NULL;
}

static void unpin(napi_env env, void *data, void *hint) {
  (void)hint;
  Pinned *pinned = data;
  napi_delete_reference(env, pinned->array);
  free(pinned);
}

static napi_value Pin(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  Pinned found = {.magic = PINNED};
  if (args.bad || napi_get_typedarray_info(env, args.value[0], &found.type, &found.count, &found.data, NULL,
                                           NULL) != napi_ok)
    return throw_type_error(env);
  Pinned *pinned = malloc(sizeof *pinned);
  napi_value external = NULL;
  if (pinned == NULL) return args.value[0];
  *pinned = found;
  if (napi_create_reference(env, args.value[0], 1, &pinned->array) != napi_ok) {
    free(pinned);
    return args.value[0];
  }
  if (napi_create_external(env, pinned, unpin, NULL, &external) != napi_ok) {
    unpin(env, pinned, NULL);
    return args.value[0];
  }
  return external;
}

static const struct {
  const char *name;
  napi_callback call;
} FUNCTIONS[] = {
    {"enterNetns", EnterNetns},
    {"pin", Pin},
    {"adviseHuge", AdviseHuge},
    {"openTap", OpenTap},
    {"tapOffload", TapOffload},
    {"tapPersist", TapPersist},
    {"openPacket", OpenPacket},
    {"openProbe", OpenProbe},
    {"frameReaders", FrameReaders},
    {"packetFilter", PacketFilter},
    {"packetStats", PacketStats},
    {"boundQueue", BoundQueue},
    {"queueDrops", QueueDrops},
    {"ifInfo", IfInfo},
    {"listenTcp", ListenTcp},
    {"listenTransparent", ListenTransparent},
    {"openTransparent", OpenTransparent},
    {"openTcp", OpenTcp},
    {"openPty", OpenPty},
    {"resizePty", ResizePty},
    {"openNetlink", OpenNetlink},
    {"sendNetlink", SendNetlink},
    {"receiveNetlink", ReceiveNetlink},
    {"closeFd", CloseFd},
    {"lockFd", LockFd},
    {"eventFd", EventFd},
    {"timerFd", TimerFd},
    {"ring", Ring},
    {"pollerCreate", PollerCreate},
    {"pollerAdd", PollerAdd},
    {"pollerAddEvent", PollerAddEvent},
    {"pollerRemove", PollerRemove},
    {"wait", Wait},
    {"threadCpuUs", ThreadCpuUs},
    {"threadSlice", ThreadSlice},
    {"pause", Pause},
    {"trimMemory", TrimMemory},
    {"receive", Receive},
    {"droppedOnReceive", DroppedOnReceive},
    {"transmit", Transmit},
    {"checksum", Checksum},
    {"copyChecksum", CopyChecksum},
    {"segmentTcp", SegmentTcp},
    {"coalesce", Coalesce},
};

// No state hangs on the environment, so the same file serves the main thread and any worker.
NAPI_MODULE_INIT() {
  for (size_t i = 0; i < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; i++) {
    const char *name = FUNCTIONS[i].name;
    napi_value function;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, FUNCTIONS[i].call, NULL, &function) != napi_ok)
      return NULL;
    napi_set_named_property(env, exports, name, function);
  }
  return exports;
}
