// Netlink sockets, carried and no more: what is said over them is TypeScript's. The socket belongs to the namespace in
// which it was opened; what the kernel ties to it (an nftables table with an owner) goes when it is closed.
#include "addon.h"

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECEIVE_BYTES = 1 << 21 };

typedef struct {
  int32_t protocol, groups;
} Target;

static int configure(int fd, const Target *target) {
  int bytes = RECEIVE_BYTES;
  // A dump of many routes, or many events at once; without the forced form there is less room, no harm else.
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes); // one change of a large set is one datagram
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = (uint32_t)target->groups};
  return bind(fd, (struct sockaddr *)&address, sizeof address);
}

static int open_netlink(void *context) {
  const Target *target = context;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, target->protocol);
  if (fd < 0) return -errno;
  if (configure(fd, target) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

napi_value OpenNetlink(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 3);
  char netns[256];
  int bad_text = arg_string(&args, 0, netns, sizeof netns);
  Target target = {.protocol = arg_int(&args, 1), .groups = arg_int(&args, 2)};
  if (args.bad) return throw_type_error(env);
  if (bad_text || target.protocol < 0) return return_int(env, -EINVAL);
  return return_int(env, in_netns(netns, open_netlink, &target));
}

napi_value SendNetlink(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 3);
  int fd = arg_int(&args, 0);
  Bytes messages = arg_bytes(&args, 1);
  int32_t length = arg_int(&args, 2);
  if (args.bad) return throw_type_error(env);
  if (!in_bounds(0, length, messages.bytes)) return return_int(env, -EINVAL);
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t sent = sendto(fd, messages.data, (size_t)length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  return return_int(env, sent < 0 ? -errno : sent);
}

// What does not fit would be lost, so its whole length comes back with MSG_TRUNC: a caller sees that it is too long.
napi_value ReceiveNetlink(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 2);
  int fd = arg_int(&args, 0);
  Bytes into = arg_bytes(&args, 1);
  if (args.bad) return throw_type_error(env);
  for (;;) {
    struct sockaddr_nl from = {0};
    socklen_t bytes = sizeof from;
    ssize_t got =
        recvfrom(fd, into.data, into.bytes, MSG_TRUNC, (struct sockaddr *)&from, &bytes);
    if (got < 0) return return_int(env, -errno);
    if (from.nl_pid != 0) continue; // not the kernel
    if ((size_t)got > into.bytes) return return_int(env, -EMSGSIZE);
    return return_int(env, got);
  }
}
