// The limit of the TAP interface: two TAP devices and nothing between them but read() and write(). No
// parsing, no tables, no NAT. podwire's figures are given as a fraction of what this does in the same run.
//
//   copy-loop NETNS_A IFACE_A NETNS_B IFACE_B [plain|spin]
//
// The devices carry a virtio-net header and the offloads that podwire asks for, so that both see the same
// frames; `plain` opens them without. It blocks when there is nothing to read; with `spin` it waits as podwire does
// (waiting.h). Prints "ready" when both exist; ends on SIGTERM or with its parent.
#define _GNU_SOURCE
#include "waiting.h"
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum { BATCH = 64, FRAME_MAX = 66048 };

static int open_tap(const char *netns, const char *name, int plain) {
  int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  enter_netns(netns);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) die("cannot open", "/dev/net/tun");
  struct ifreq req;
  memset(&req, 0, sizeof req);
  snprintf(req.ifr_name, IFNAMSIZ, "%s", name);
  req.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (plain ? 0 : IFF_VNET_HDR));
  if (ioctl(fd, TUNSETIFF, &req) != 0) die("cannot make TAP", name);
  const unsigned base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN; // Linux before 6.2: no more than these
  if (!plain && ioctl(fd, TUNSETOFFLOAD, base | TUN_F_USO4 | TUN_F_USO6) != 0 && ioctl(fd, TUNSETOFFLOAD, base) != 0)
    die("cannot set offloads of", name);
  if (setns(home, 0) != 0) die("cannot return to", "own namespace");
  close(home);
  return fd;
}

// One bounded batch in one direction; returns the number of frames moved.
static int copy_batch(int from, int to, char *frame) {
  int n = 0;
  for (; n < BATCH; n++) {
    ssize_t len = read(from, frame, FRAME_MAX);
    if (len <= 0) break;
    // A frame that the other side refuses is lost, as on a wire.
    if (write(to, frame, (size_t)len) < 0 && errno == EBADF) exit(1);
    waiting.amount += 1 + (double)len / 1500;
  }
  return n;
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: copy-loop NETNS_A IFACE_A NETNS_B IFACE_B [plain|spin]\n");
    return 2;
  }
  die_with_parent();
  int plain = argc > 5 && strcmp(argv[5], "plain") == 0, spin = argc > 5 && strcmp(argv[5], "spin") == 0;
  int a = open_tap(argv[1], argv[2], plain), b = open_tap(argv[3], argv[4], plain);
  static char frame[FRAME_MAX];
  struct pollfd both[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
  if (spin) begin_waiting();
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    int moved = copy_batch(a, b, frame) + copy_batch(b, a, frame);
    if (spin && ++waiting.turns % BATCH == 0 && now_sec() - waiting.looked >= 0.1) look_at_load(now_sec());
    if (moved > 0) continue;
    if (spin) wait_for_frames(both, 2);
    else poll(both, 2, -1);
  }
}
