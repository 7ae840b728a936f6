// Small-frame generator: sends UDP frames of one size as fast as one core can and says how many of them
// arrived.
//
//   packet-gen NETNS IFACE TO_MAC FROM_IP TO_IP TO_PORT FRAME_BYTES FLOWS SECONDS SENDERS RX_NETNS RX_IFACE
//
// AF_PACKET with sendmmsg and PACKET_QDISC_BYPASS, so that the sender costs as little as it can. Every
// frame carries a correct IPv4 and UDP checksum (a zero UDP checksum would spare the address translation
// half of its work). FLOWS different source ports are used in turn. SENDERS processes send at once (the
// kernel's own path runs on the sender's core, so two senders show what two cores do). What arrived is the
// receive counter of RX_IFACE in RX_NETNS, read by rtnetlink at both ends of the measured window; the
// window starts after a warm-up of a fifth of SECONDS. Prints one line of JSON.
#define _GNU_SOURCE
#include "netns.h"
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { BATCH = 64, ROUNDS = 16, ETH = 14, IP = 20, PORT_FIRST = 1024, FRAME_MAX = 1514 };

struct flow {
  uint8_t to_mac[6], from_mac[6];
  struct in_addr from, to;
  uint16_t to_port;
  int frame_bytes, flows;
};

static uint32_t sum16(const uint8_t *p, int n, uint32_t s) {
  for (int i = 0; i + 1 < n; i += 2) s += (uint32_t)(p[i] << 8 | p[i + 1]);
  if (n & 1) s += (uint32_t)(p[n - 1] << 8);
  return s;
}

static uint16_t fold(uint32_t s) {
  while (s >> 16) s = (s & 0xffff) + (s >> 16);
  return (uint16_t)s;
}

static void put16(uint8_t *p, unsigned v) {
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}

// Everything but the source port and the UDP checksum; returns the checksum's sum without the source port.
static uint32_t build_frame(uint8_t *f, const struct flow *flow) {
  int ip_bytes = flow->frame_bytes - ETH, udp_bytes = ip_bytes - IP;
  memset(f, 0, (size_t)flow->frame_bytes);
  memcpy(f, flow->to_mac, 6);
  memcpy(f + 6, flow->from_mac, 6);
  put16(f + 12, ETH_P_IP);
  uint8_t *ip = f + ETH, *udp = ip + IP;
  ip[0] = 0x45;
  put16(ip + 2, (unsigned)ip_bytes);
  ip[8] = 64;
  ip[9] = IPPROTO_UDP;
  memcpy(ip + 12, &flow->from, 4);
  memcpy(ip + 16, &flow->to, 4);
  put16(ip + 10, (uint16_t)~fold(sum16(ip, IP, 0)));
  put16(udp + 2, flow->to_port);
  put16(udp + 4, (unsigned)udp_bytes);
  return sum16(ip + 12, 8, 0) + IPPROTO_UDP + (uint32_t)udp_bytes + sum16(udp, udp_bytes, 0);
}

static void set_source_port(uint8_t *f, unsigned port, uint32_t sum_without) {
  put16(f + ETH + IP, port);
  uint16_t c = (uint16_t)~fold(sum_without + port);
  put16(f + ETH + IP + 6, c ? c : 0xffff);
}

static int open_sender(const char *iface) {
  int s = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
  if (s < 0) die("cannot open a packet socket on", iface);
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(iface)};
  if (at.sll_ifindex == 0) die("no interface", iface);
  if (setsockopt(s, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0)
    die("PACKET_QDISC_BYPASS", iface);
  if (bind(s, (struct sockaddr *)&at, sizeof at) != 0) die("cannot bind to", iface);
  return s;
}

static void own_mac(int s, const char *iface, uint8_t *mac) {
  struct ifreq req;
  memset(&req, 0, sizeof req);
  snprintf(req.ifr_name, IFNAMSIZ, "%s", iface);
  if (ioctl(s, SIOCGIFHWADDR, &req) != 0) die("no hardware address on", iface);
  memcpy(mac, req.ifr_hwaddr.sa_data, 6);
}

static int open_counter(const char *netns, const char *iface, unsigned *index) {
  enter_netns(netns);
  *index = if_nametoindex(iface);
  if (*index == 0) die("no interface", iface);
  int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (s < 0) die("cannot open", "rtnetlink");
  return s; // stays in the namespace it was opened in
}

static uint64_t received(int s, unsigned index) {
  struct {
    struct nlmsghdr h;
    struct ifinfomsg i;
  } ask = {.h = {.nlmsg_len = sizeof ask, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
           .i = {.ifi_index = (int)index}};
  static char answer[16384];
  if (send(s, &ask, sizeof ask, 0) < 0) die("rtnetlink", "send");
  ssize_t n = recv(s, answer, sizeof answer, 0);
  struct nlmsghdr *h = (struct nlmsghdr *)answer;
  if (n < (ssize_t)sizeof *h || h->nlmsg_type != RTM_NEWLINK) die("rtnetlink", "no answer");
  struct rtattr *a = IFLA_RTA((struct ifinfomsg *)NLMSG_DATA(h));
  int left = (int)IFLA_PAYLOAD(h);
  for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    if (a->rta_type != IFLA_STATS64) continue;
    struct rtnl_link_stats64 stats;
    memcpy(&stats, RTA_DATA(a), sizeof stats);
    return stats.rx_packets;
  }
  return 0;
}

static struct sender {
  int fd;
  const struct flow *flow;
  uint32_t sum;
  unsigned next; // of the flows, used in turn
  uint8_t frames[BATCH][FRAME_MAX];
  struct iovec parts[BATCH];
  struct mmsghdr messages[BATCH];
} sender;

static void prepare(const struct flow *flow, const char *iface) {
  struct sender *s = &sender;
  s->flow = flow;
  s->fd = open_sender(iface);
  for (int i = 0; i < BATCH; i++) {
    s->sum = build_frame(s->frames[i], s->flow);
    set_source_port(s->frames[i], PORT_FIRST + (unsigned)(i % s->flow->flows), s->sum);
    s->parts[i] = (struct iovec){.iov_base = s->frames[i], .iov_len = (size_t)s->flow->frame_bytes};
    s->messages[i].msg_hdr.msg_iov = &s->parts[i];
    s->messages[i].msg_hdr.msg_iovlen = 1;
  }
}

static uint64_t send_until(double end) {
  struct sender *s = &sender;
  uint64_t sent = 0;
  unsigned flows = (unsigned)s->flow->flows;
  do {
    for (int k = 0; k < ROUNDS; k++) {
      for (int i = 0; flows > BATCH && i < BATCH; i++) {
        set_source_port(s->frames[i], PORT_FIRST + s->next, s->sum);
        s->next = s->next + 1 == flows ? 0 : s->next + 1;
      }
      int n = sendmmsg(s->fd, s->messages, BATCH, 0);
      if (n > 0) sent += (uint64_t)n;
    }
  } while (now_sec() < end);
  return sent;
}

int main(int argc, char **argv) {
  if (argc != 13) {
    fprintf(stderr, "usage: packet-gen NETNS IFACE TO_MAC FROM_IP TO_IP TO_PORT FRAME_BYTES FLOWS SECONDS "
                    "SENDERS RX_NETNS RX_IFACE\n");
    return 2;
  }
  die_with_parent();
  struct flow flow = {.to_port = (uint16_t)number_arg(argv[6], "TO_PORT", 1, 65535),
                      .frame_bytes = (int)number_arg(argv[7], "FRAME_BYTES", 60, FRAME_MAX),
                      .flows = (int)number_arg(argv[8], "FLOWS", 1, 60000)};
  double seconds = number_arg(argv[9], "SECONDS", 0.1, 3600);
  int senders = (int)number_arg(argv[10], "SENDERS", 1, 64);
  uint8_t *m = flow.to_mac;
  if (sscanf(argv[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6 ||
      inet_pton(AF_INET, argv[4], &flow.from) != 1 || inet_pton(AF_INET, argv[5], &flow.to) != 1) {
    fprintf(stderr, "packet-gen: %s, %s and %s must be a MAC and two IPv4 addresses\n", argv[3], argv[4],
            argv[5]);
    return 2;
  }
  unsigned index;
  int counter = open_counter(argv[11], argv[12], &index);
  enter_netns(argv[1]);
  int fd = open_sender(argv[2]);
  own_mac(fd, argv[2], flow.from_mac);
  close(fd);
  double warm_end = now_sec() + seconds / 5, end = warm_end + seconds;
  for (int i = 1; i < senders; i++) {
    if (fork() != 0) continue;
    die_with_parent();
    prepare(&flow, argv[2]);
    send_until(end);
    _exit(0);
  }
  prepare(&flow, argv[2]);
  send_until(warm_end);
  double t0 = now_sec();
  uint64_t before = received(counter, index);
  uint64_t sent = send_until(end);
  uint64_t after = received(counter, index);
  double took = now_sec() - t0;
  while (wait(NULL) > 0) continue;
  printf("{\"seconds\":%.3f,\"sentPerSec\":%.0f,\"receivedPerSec\":%.0f}\n", took, (double)sent / took,
         (double)(after - before) / took);
  return 0;
}
