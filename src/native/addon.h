// What the addon's files share: argument access, the network namespace switch, and the list of exported
// functions. Every exported function returns a number >= 0 or -errno. JavaScript exceptions are for wrong
// argument types only.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define NAPI_VERSION 8
#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VNET_HDR_BYTES 10 // struct virtio_net_hdr without num_buffers; lies right before the Ethernet header
#define MAX_ARGS 12

// Arguments of one call. `bad` remembers the first argument of a wrong type; check it once, after all reads.
typedef struct {
  napi_env env;
  size_t count;
  napi_value value[MAX_ARGS];
  bool bad;
} Args;

typedef struct {
  uint8_t *data;
  size_t bytes;
} Bytes;

typedef struct {
  int32_t *data;
  size_t count;
} Ints;

typedef struct {
  double *data;
  size_t count;
} Doubles;

void args_load(Args *args, napi_env env, napi_callback_info info, size_t want);
int32_t arg_int(Args *args, size_t i);
double arg_double(Args *args, size_t i);
Bytes arg_bytes(Args *args, size_t i);
Ints arg_ints(Args *args, size_t i);
Doubles arg_doubles(Args *args, size_t i);
// Copies a string argument; one that does not fit (or holds a NUL) is -EINVAL, returned at once by the
// caller.
int arg_string(Args *args, size_t i, char *to, size_t bytes);
napi_value return_int(napi_env env, int64_t value);
napi_value throw_type_error(napi_env env);

// [off, off+len) lies inside `total` bytes.
static inline bool in_bounds(int32_t off, int64_t len, size_t total) {
  return off >= 0 && len >= 0 && (int64_t)off + len <= (int64_t)total;
}

// Runs open_in(context) inside the network namespace of file `path` ("" = stay), and always comes back.
int in_netns(const char *path, int (*open_in)(void *), void *context);

// The same in a new one, which lives as long as what was opened in it.
int in_new_netns(int (*open_in)(void *), void *context);

napi_value EnterNetns(napi_env env, napi_callback_info info);
napi_value AdviseHuge(napi_env env, napi_callback_info info);
napi_value OpenTap(napi_env env, napi_callback_info info);
napi_value TapOffload(napi_env env, napi_callback_info info);
napi_value TapPersist(napi_env env, napi_callback_info info);
napi_value OpenPacket(napi_env env, napi_callback_info info);
napi_value OpenProbe(napi_env env, napi_callback_info info);
napi_value FrameReaders(napi_env env, napi_callback_info info);
napi_value PacketStats(napi_env env, napi_callback_info info);
napi_value PacketFilter(napi_env env, napi_callback_info info);
napi_value BoundQueue(napi_env env, napi_callback_info info);
napi_value QueueDrops(napi_env env, napi_callback_info info);
napi_value IfInfo(napi_env env, napi_callback_info info);
napi_value ListenTcp(napi_env env, napi_callback_info info);
napi_value ListenTransparent(napi_env env, napi_callback_info info);
napi_value OpenTransparent(napi_env env, napi_callback_info info);
napi_value OpenTcp(napi_env env, napi_callback_info info);
napi_value OpenPty(napi_env env, napi_callback_info info);
napi_value ResizePty(napi_env env, napi_callback_info info);
napi_value OpenNetlink(napi_env env, napi_callback_info info);
napi_value SendNetlink(napi_env env, napi_callback_info info);
napi_value ReceiveNetlink(napi_env env, napi_callback_info info);
napi_value CloseFd(napi_env env, napi_callback_info info);
napi_value LockFd(napi_env env, napi_callback_info info);
napi_value EventFd(napi_env env, napi_callback_info info);
napi_value TimerFd(napi_env env, napi_callback_info info);
napi_value Ring(napi_env env, napi_callback_info info);
napi_value PollerCreate(napi_env env, napi_callback_info info);
napi_value PollerAdd(napi_env env, napi_callback_info info);
napi_value PollerAddEvent(napi_env env, napi_callback_info info);
napi_value PollerRemove(napi_env env, napi_callback_info info);
napi_value Wait(napi_env env, napi_callback_info info);
napi_value ThreadCpuUs(napi_env env, napi_callback_info info);
napi_value ThreadSlice(napi_env env, napi_callback_info info);
napi_value Pause(napi_env env, napi_callback_info info);
napi_value TrimMemory(napi_env env, napi_callback_info info);
napi_value Receive(napi_env env, napi_callback_info info);
napi_value DroppedOnReceive(napi_env env, napi_callback_info info);
napi_value Transmit(napi_env env, napi_callback_info info);
napi_value Checksum(napi_env env, napi_callback_info info);
napi_value CopyChecksum(napi_env env, napi_callback_info info);
napi_value SegmentTcp(napi_env env, napi_callback_info info);
napi_value Coalesce(napi_env env, napi_callback_info info);
