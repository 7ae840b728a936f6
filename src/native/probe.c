// What a kernel does with frames and who would see them: a TAP with a UDP socket behind it in a network namespace that
// nobody else has, and the sockets of a namespace that read frames as they come from a device.
#include "addon.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROBE_WORDS = 4 };

static int set_address(int fd, struct ifreq *request, unsigned long what, const char *text) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  inet_pton(AF_INET, text, &address.sin_addr);
  memcpy(&request->ifr_addr, &address, sizeof address);
  return ioctl(fd, what, request);
}

// 192.0.2.1 (RFC 5737) on the device, which is up, and a socket at its port.
static int open_socket(struct ifreq *request, int32_t port) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  bool failed = set_address(fd, request, SIOCSIFADDR, "192.0.2.1") < 0 ||
                set_address(fd, request, SIOCSIFNETMASK, "255.255.255.0") < 0 ||
                ioctl(fd, SIOCGIFFLAGS, request) < 0;
  request->ifr_flags |= IFF_UP;
  if (!failed && ioctl(fd, SIOCSIFFLAGS, request) == 0 && bind(fd, (struct sockaddr *)&local, sizeof local) == 0)
    return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static int open_probe(void *context) {
  int32_t *out = context;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "probe0");
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  int header = VNET_HDR_BYTES, socket = -1;
  int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tap < 0) return -errno;
  if (ioctl(tap, TUNSETIFF, &request) == 0 && ioctl(tap, TUNSETVNETHDRSZ, &header) == 0 &&
      (socket = open_socket(&request, out[1])) >= 0 && ioctl(tap, SIOCGIFHWADDR, &request) == 0) {
    const uint8_t *mac = (const uint8_t *)request.ifr_hwaddr.sa_data;
    out[0] = tap;
    out[1] = socket;
    out[2] = mac[0] << 8 | mac[1];
    out[3] = (int32_t)((uint32_t)mac[2] << 24 | mac[3] << 16 | mac[4] << 8 | mac[5]);
    return 0;
  }
  int error = errno;
  if (socket >= 0) close(socket);
  close(tap);
  return -error;
}

napi_value OpenProbe(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 2);
  const int32_t port = arg_int(&args, 0);
  Ints out = arg_ints(&args, 1);
  if (args.bad) return throw_type_error(env);
  if (port < 1 || port > 65535 || out.count < PROBE_WORDS) return return_int(env, -EINVAL);
  out.data[1] = port;
  return return_int(env, in_new_netns(open_probe, out.data));
}

// A line of /proc/net/packet: who reads everything, or a family's packets.
static bool reads_frames(const char *line) {
  unsigned protocol = 0;
  if (sscanf(line, "%*s %*s %*s %x", &protocol) != 1) return false;
  return protocol == ETH_P_ALL || protocol == ETH_P_IP || protocol == ETH_P_IPV6;
}

// A line of /proc/net/raw: the "port" is the protocol.
static bool reads_datagrams(const char *line) {
  unsigned protocol = 0;
  return sscanf(line, " %*d: %*[0-9A-Fa-f]:%x", &protocol) == 1 && protocol == IPPROTO_UDP;
}

static int any_line(const char *path, bool (*wanted)(const char *)) {
  FILE *file = fopen(path, "re");
  if (file == NULL) return errno == ENOENT ? 0 : -errno; // no packet sockets, or no IPv6, in this kernel
  char line[512];
  int found = 0;
  while (!found && fgets(line, sizeof line, file) != NULL) found = wanted(line);
  fclose(file);
  return found;
}

static int find_readers(void *context) {
  (void)context;
  int found = any_line("/proc/thread-self/net/packet", reads_frames);
  if (found == 0) found = any_line("/proc/thread-self/net/raw", reads_datagrams);
  if (found == 0) found = any_line("/proc/thread-self/net/raw6", reads_datagrams);
  return found;
}

napi_value FrameReaders(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  char netns[256];
  int bad_text = arg_string(&args, 0, netns, sizeof netns);
  if (args.bad) return throw_type_error(env);
  if (bad_text) return return_int(env, -EINVAL);
  return return_int(env, in_netns(netns, find_readers, NULL));
}
