// TCP sockets inside a network namespace: a socket stays in the namespace it was made in, and so do the connections it
// makes or accepts, whichever namespace the process lives in.
#include "addon.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } address;
  socklen_t bytes;
  int32_t backlog;
  bool transparent; // takes connections to, and makes them from, addresses that are not the machine's
} Listener;

// Text to address. False: it is neither an IPv4 nor an IPv6 address.
static bool parse(Listener *listener, const char *text, int32_t port) {
  if (inet_pton(AF_INET, text, &listener->address.v4.sin_addr) == 1) {
    listener->address.v4.sin_family = AF_INET;
    listener->address.v4.sin_port = htons((uint16_t)port);
    listener->bytes = sizeof listener->address.v4;
    return true;
  }
  if (inet_pton(AF_INET6, text, &listener->address.v6.sin6_addr) != 1) return false;
  listener->address.v6.sin6_family = AF_INET6;
  listener->address.v6.sin6_port = htons((uint16_t)port);
  listener->bytes = sizeof listener->address.v6;
  return true;
}

static int make_transparent(int fd, const Listener *listener) {
  int one = 1;
  if (listener->address.any.sa_family == AF_INET6)
    return setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &one, sizeof one);
  return setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof one);
}

static int configure(int fd, const Listener *listener) {
  int one = 1;
  if (listener->transparent && make_transparent(fd, listener) < 0) return -1;
  // A port whose last connections still linger can be opened again: a restarted agent needs that.
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0) return -1;
  if (listener->address.any.sa_family == AF_INET6) {
    // "::" is to serve IPv4 too, whatever net.ipv6.bindv6only says; any other address is IPv6's alone.
    int only = listener->transparent || !IN6_IS_ADDR_UNSPECIFIED(&listener->address.v6.sin6_addr);
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) < 0) return -1;
  }
  if (bind(fd, &listener->address.any, listener->bytes) < 0) return -1;
  return listen(fd, listener->backlog);
}

static int open_listener(void *context) {
  const Listener *listener = context;
  int fd = socket(listener->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (configure(fd, listener) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

napi_value ListenTcp(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 4);
  char netns[256], address[INET6_ADDRSTRLEN];
  int bad_text = arg_string(&args, 0, netns, sizeof netns);
  bad_text |= arg_string(&args, 1, address, sizeof address);
  int32_t port = arg_int(&args, 2);
  Listener listener = {.backlog = arg_int(&args, 3)};
  if (args.bad) return throw_type_error(env);
  if (bad_text || port < 0 || port > 65535 || listener.backlog < 0 || !parse(&listener, address, port))
    return return_int(env, -EINVAL);
  return return_int(env, in_netns(netns, open_listener, &listener));
}

napi_value ListenTransparent(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 3);
  char address[INET6_ADDRSTRLEN];
  int bad_text = arg_string(&args, 0, address, sizeof address);
  int32_t port = arg_int(&args, 1);
  Listener listener = {.backlog = arg_int(&args, 2), .transparent = true};
  if (args.bad) return throw_type_error(env);
  if (bad_text || port < 0 || port > 65535 || listener.backlog < 0 || !parse(&listener, address, port))
    return return_int(env, -EINVAL);
  return return_int(env, open_listener(&listener));
}

// Bound to the address, and to a port when it connects: the same port serves for many servers.
static int open_bound(const Listener *from) {
  int fd = socket(from->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int one = 1;
  if (make_transparent(fd, from) < 0 ||
      setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) < 0 ||
      bind(fd, &from->address.any, from->bytes) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

napi_value OpenTransparent(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  char address[INET6_ADDRSTRLEN];
  int bad_text = arg_string(&args, 0, address, sizeof address);
  Listener from = {.transparent = true};
  if (args.bad) return throw_type_error(env);
  if (bad_text || !parse(&from, address, 0)) return return_int(env, -EINVAL);
  return return_int(env, open_bound(&from));
}

static int open_socket(void *context) {
  int fd = socket(*(int *)context, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? -errno : fd;
}

napi_value OpenTcp(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 2);
  char netns[256];
  int bad_text = arg_string(&args, 0, netns, sizeof netns);
  int family = arg_int(&args, 1) == 6 ? AF_INET6 : AF_INET;
  if (args.bad) return throw_type_error(env);
  if (bad_text) return return_int(env, -EINVAL);
  return return_int(env, in_netns(netns, open_socket, &family));
}
