// TAP devices, interface facts, and closing. A persistent TAP keeps its name and addresses when the agent
// ends; its offloads and vnet header size do not belong to that promise, so opening sets them again.
#include "addon.h"
#include "queue-bound.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TAP_PERSIST = 1, TAP_VNET_HDR = 2, TAP_MULTI_QUEUE = 4, TAP_TUNNEL_HDR = 8 };
enum { TUNNEL_HDR_BYTES = 24 };

// linux/if_tun.h of older distributions lacks these two.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

typedef struct {
  char name[IFNAMSIZ];
  int32_t flags;
  int32_t *out;
} Target;

static int open_tap(void *context) {
  Target *target = context;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, target->name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (target->flags & TAP_VNET_HDR) request.ifr_flags |= IFF_VNET_HDR;
  if (target->flags & TAP_MULTI_QUEUE) request.ifr_flags |= IFF_MULTI_QUEUE;
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -errno;
  // A previous owner of a persistent device may have chosen 12.
  int header = target->flags & TAP_TUNNEL_HDR ? TUNNEL_HDR_BYTES : VNET_HDR_BYTES;
  if (ioctl(fd, TUNSETIFF, &request) < 0 ||
      ((target->flags & TAP_VNET_HDR) && ioctl(fd, TUNSETVNETHDRSZ, &header) < 0) ||
      ((target->flags & TAP_PERSIST) && ioctl(fd, TUNSETPERSIST, 1) < 0)) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

// Asks for huge pages behind the packet arena: a superframe is copied in and out, and 4 KiB pages cost a TLB entry
// for each. Only whole 2 MiB pages inside the array are touched; a kernel that does not offer them says -EINVAL.
napi_value AdviseHuge(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  Bytes arena = arg_bytes(&args, 0);
  if (args.bad) return throw_type_error(env);
  const uintptr_t page = 2u << 20;
  uintptr_t from = ((uintptr_t)arena.data + page - 1) & ~(page - 1);
  uintptr_t to = ((uintptr_t)arena.data + arena.bytes) & ~(page - 1);
  if (to <= from) return return_int(env, 0);
  return return_int(env, madvise((void *)from, to - from, MADV_HUGEPAGE) < 0 ? -errno : 0);
}

napi_value OpenTap(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 3);
  char netns[256];
  Target target = {.flags = arg_int(&args, 2)};
  int bad_text = arg_string(&args, 0, netns, sizeof netns);
  bad_text |= arg_string(&args, 1, target.name, sizeof target.name);
  if (args.bad) return throw_type_error(env);
  if (bad_text || target.name[0] == '\0' || (target.flags & ~15)) return return_int(env, -EINVAL);
  return return_int(env, in_netns(netns, open_tap, &target));
}

// The kernel refuses the whole word when one bit is unknown to it, so ask for less step by step.
napi_value TapOffload(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 2);
  int fd = arg_int(&args, 0);
  uint32_t wanted = (uint32_t)arg_int(&args, 1);
  if (args.bad) return throw_type_error(env);
  const uint32_t base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  const uint32_t masks[] = {~0u, base | TUN_F_USO4 | TUN_F_USO6, base, base & ~TUN_F_TSO_ECN, TUN_F_CSUM, 0};
  int error = EINVAL;
  for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
    const unsigned long flags = wanted & masks[i];
    if (ioctl(fd, TUNSETOFFLOAD, flags) == 0) return return_int(env, (int64_t)flags);
    error = errno;
    if (error != EINVAL) break;
  }
  return return_int(env, -error);
}

napi_value TapPersist(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 2);
  int fd = arg_int(&args, 0);
  int persist = arg_int(&args, 1);
  if (args.bad) return throw_type_error(env);
  if (persist != 0 && persist != 1) return return_int(env, -EINVAL);
  return return_int(env, ioctl(fd, TUNSETPERSIST, persist) < 0 ? -errno : 0);
}

static int read_interface(void *context) {
  Target *target = context;
  // Any socket carries the interface ioctls of its namespace.
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, target->name);
  int result = 0;
  if (ioctl(fd, SIOCGIFINDEX, &request) < 0) goto failed;
  target->out[0] = request.ifr_ifindex;
  if (ioctl(fd, SIOCGIFMTU, &request) < 0) goto failed;
  target->out[1] = request.ifr_mtu;
  if (ioctl(fd, SIOCGIFHWADDR, &request) < 0) goto failed;
  const uint8_t *mac = (const uint8_t *)request.ifr_hwaddr.sa_data;
  target->out[2] = mac[0] << 8 | mac[1];
  target->out[3] = (int32_t)((uint32_t)mac[2] << 24 | mac[3] << 16 | mac[4] << 8 | mac[5]);
  if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) goto failed;
  target->out[4] = (uint16_t)request.ifr_flags;
  close(fd);
  return 0;
failed:
  result = -errno;
  close(fd);
  return result;
}

napi_value IfInfo(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 3);
  char netns[256];
  Target target = {.flags = 0};
  int bad_text = arg_string(&args, 0, netns, sizeof netns);
  bad_text |= arg_string(&args, 1, target.name, sizeof target.name);
  Ints out = arg_ints(&args, 2);
  if (args.bad) return throw_type_error(env);
  if (bad_text || target.name[0] == '\0' || out.count < 5) return return_int(env, -EINVAL);
  target.out = out.data;
  return return_int(env, in_netns(netns, read_interface, &target));
}

napi_value CloseFd(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  int fd = arg_int(&args, 0);
  if (args.bad) return throw_type_error(env);
  queue_bound_release(fd);
  return return_int(env, close(fd) < 0 ? -errno : 0);
}

// The lock goes with the last descriptor of the file as it was opened here: when the process ends, however it does.
napi_value LockFd(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  int fd = arg_int(&args, 0);
  if (args.bad) return throw_type_error(env);
  return return_int(env, flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0);
}
