// Small-frame generator: sends UDP frames as fast as one core can, or at a rate, and says how many of them arrived.
//
//   packet-gen tx=NETNS,IFACE mac=TO_MAC from=IP to=IP:PORT rx=NETNS,IFACE [frame=64|imix] [flows=1] [seconds=2]
//              [senders=1] [read=device|socket|gro] [rate=0] [burst=64]
//
// AF_PACKET with sendmmsg and PACKET_QDISC_BYPASS, so that the sender costs as little as it can. Every frame carries a
// correct IPv4 and UDP checksum (a zero UDP checksum would spare the address translation half of its work). `flows`
// different source ports are used in turn. `senders` processes send at once (the kernel's own path runs on the sender's
// core, so two senders show what two cores do). `frame` is a length in bytes without FCS, or the simple IMIX: 7 of 64,
// 4 of 594, 1 of 1464 (what fits a pod's MTU of 1450). `rate` is frames a second by all senders together (0: as
// fast as it goes), `burst` how many of them leave at once.
//
// What arrived: the receive counters of the device, read by rtnetlink, or the datagrams that a UDP socket read there
// (with `gro`: one with UDP_GRO). A frame that stands for many (GSO) counts as many datagrams as its bytes hold. Both
// are read at both ends of the measured window, which starts after a warm-up of a fifth of `seconds`. Totals count from
// the first frame to a while after the last. Prints one line of JSON.
#define _GNU_SOURCE
#include "netns.h"
#include "udp-sink.h"
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { BATCH = 64, ROUNDS = 16, ETH = 14, IP = 20, PORT_FIRST = 1024, FRAME_MAX = 1514, SENDERS_MAX = 64 };
enum { HEADERS = ETH + IP + 8 };
enum { DRAIN_USEC = 150000, IMIX = 12 };
static const int imix[IMIX] = {64, 594, 64, 64, 594, 64, 1464, 64, 594, 64, 594, 64};

struct flow {
  uint8_t to_mac[6], from_mac[6];
  struct in_addr from, to;
  uint16_t to_port;
  int frame_bytes, flows; // frame_bytes 0: IMIX
};

// What the processes share.
static struct shared {
  volatile uint64_t offered[SENDERS_MAX], sent[SENDERS_MAX], read;
  volatile int ready;
} *shared;

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
static uint32_t build_frame(uint8_t *f, int frame_bytes, const struct flow *flow) {
  int ip_bytes = frame_bytes - ETH, udp_bytes = ip_bytes - IP;
  memset(f, 0, (size_t)frame_bytes);
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

struct counts {
  uint64_t frames, bytes;
};

static struct counts received(int s, unsigned index) {
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
    return (struct counts){stats.rx_packets, stats.rx_bytes};
  }
  return (struct counts){0, 0};
}

// Datagrams that came between two looks. Some devices count an Ethernet header, some do not: frames that are no longer
// than those that were sent are one datagram each.
static uint64_t datagrams_between(struct counts a, struct counts b, int frame_bytes) {
  uint64_t frames = b.frames - a.frames, bytes = b.bytes - a.bytes;
  double each = frame_bytes;
  for (int i = 0; i < IMIX && frame_bytes == 0; i++) each += (double)imix[i] / IMIX;
  if ((double)bytes <= (double)frames * each * 1.02) return frames;
  return (uint64_t)(((double)bytes - (double)frames * HEADERS) / (each - HEADERS));
}

static struct sender {
  int fd, index;
  const struct flow *flow;
  unsigned next; // of the flows, used in turn
  uint32_t sums[BATCH];
  uint8_t frames[BATCH][FRAME_MAX];
  struct iovec parts[BATCH];
  struct mmsghdr messages[BATCH];
} sender;

static void prepare(const struct flow *flow, const char *iface, int index) {
  struct sender *s = &sender;
  s->flow = flow;
  s->index = index;
  s->fd = open_sender(iface);
  for (int i = 0; i < BATCH; i++) {
    int bytes = flow->frame_bytes != 0 ? flow->frame_bytes : imix[i % IMIX];
    s->sums[i] = build_frame(s->frames[i], bytes, flow);
    set_source_port(s->frames[i], PORT_FIRST + (unsigned)(i % flow->flows), s->sums[i]);
    s->parts[i] = (struct iovec){.iov_base = s->frames[i], .iov_len = (size_t)bytes};
    s->messages[i].msg_hdr.msg_iov = &s->parts[i];
    s->messages[i].msg_hdr.msg_iovlen = 1;
  }
}

// Of more flows than a batch has frames, the next ones.
static void turn_flows(int count) {
  struct sender *s = &sender;
  unsigned flows = (unsigned)s->flow->flows;
  for (int i = 0; flows > BATCH && i < count; i++) {
    set_source_port(s->frames[i], PORT_FIRST + s->next, s->sums[i]);
    s->next = s->next + 1 == flows ? 0 : s->next + 1;
  }
}

static void send_unpaced(double end) {
  struct sender *s = &sender;
  do {
    uint64_t sent = 0;
    for (int k = 0; k < ROUNDS; k++) {
      turn_flows(BATCH);
      int n = sendmmsg(s->fd, s->messages, BATCH, 0);
      if (n > 0) sent += (uint64_t)n;
    }
    shared->sent[s->index] += sent;
    shared->offered[s->index] += sent;
  } while (now_sec() < end);
}

// A frame that the device refuses is lost, as on a wire: it is offered once.
static void send_paced(double end, double rate, int burst) {
  struct sender *s = &sender;
  double due = now_sec();
  for (double now = due; now < end; now = now_sec()) {
    if (now < due) continue;
    due += burst / rate;
    if (now - due > 0.01) due = now; // a sender that was kept from its core does not make up for it
    for (int left = burst; left > 0;) {
      int count = left < BATCH ? left : BATCH, done = 0;
      turn_flows(count);
      while (done < count) {
        int n = sendmmsg(s->fd, s->messages + done, (unsigned)(count - done), 0);
        done += n > 0 ? n : 1;
        if (n > 0) shared->sent[s->index] += (uint64_t)n;
      }
      shared->offered[s->index] += (uint64_t)count;
      left -= count;
    }
  }
}

struct plan {
  const char *tx_netns, *tx_iface, *rx_netns, *rx_iface;
  struct flow flow;
  double seconds, rate;
  int senders, burst, reads, gro; // reads: a socket does
};

static void send_until(const struct plan *plan, double end) {
  if (plan->rate > 0) send_paced(end, plan->rate / plan->senders, plan->burst);
  else send_unpaced(end);
}

_Noreturn static void usage(const char *why) {
  fprintf(stderr, "packet-gen: %s\nusage: packet-gen tx=NETNS,IFACE mac=MAC from=IP to=IP:PORT rx=NETNS,IFACE "
                  "[frame=64|imix] [flows=1] [seconds=2] [senders=1] [read=device|socket|gro] [rate=0] [burst=64]\n",
          why);
  exit(2);
}

// Cuts "A<mark>B"; the second half is returned.
static char *halve(char *text, char mark) {
  char *at = strrchr(text, mark);
  if (at == NULL) usage(text);
  *at = 0;
  return at + 1;
}

static void take_option(struct plan *p, char *name) {
  char *value = strchr(name, '=');
  if (value == NULL) usage(name);
  *value++ = 0;
  uint8_t *m = p->flow.to_mac;
  if (strcmp(name, "tx") == 0) p->tx_iface = halve(value, ','), p->tx_netns = value;
  else if (strcmp(name, "rx") == 0) p->rx_iface = halve(value, ','), p->rx_netns = value;
  else if (strcmp(name, "mac") == 0) {
    if (sscanf(value, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) usage(value);
  } else if (strcmp(name, "from") == 0) {
    if (inet_pton(AF_INET, value, &p->flow.from) != 1) usage(value);
  } else if (strcmp(name, "to") == 0) {
    p->flow.to_port = (uint16_t)number_arg(halve(value, ':'), "to=IP:PORT", 1, 65535);
    if (inet_pton(AF_INET, value, &p->flow.to) != 1) usage(value);
  } else if (strcmp(name, "frame") == 0) {
    p->flow.frame_bytes = strcmp(value, "imix") == 0 ? 0 : (int)number_arg(value, name, 60, FRAME_MAX);
  } else if (strcmp(name, "flows") == 0) p->flow.flows = (int)number_arg(value, name, 1, 60000);
  else if (strcmp(name, "seconds") == 0) p->seconds = number_arg(value, name, 0.1, 3600);
  else if (strcmp(name, "senders") == 0) p->senders = (int)number_arg(value, name, 1, SENDERS_MAX);
  else if (strcmp(name, "rate") == 0) p->rate = number_arg(value, name, 0, 1e8);
  else if (strcmp(name, "burst") == 0) p->burst = (int)number_arg(value, name, 1, 100000);
  else if (strcmp(name, "read") == 0) {
    p->gro = strcmp(value, "gro") == 0;
    p->reads = p->gro || strcmp(value, "socket") == 0;
    if (!p->reads && strcmp(value, "device") != 0) usage(value);
  } else usage(name);
}

static uint64_t sum_of(const volatile uint64_t *each, int count) {
  uint64_t sum = 0;
  for (int i = 0; i < count; i++) sum += each[i];
  return sum;
}

static pid_t start_sink(const struct plan *plan) {
  pid_t child = fork();
  if (child == 0) {
    die_with_parent();
    enter_netns(plan->rx_netns);
    run_sink(plan->flow.to_port, plan->gro, &shared->read, &shared->ready);
  }
  for (int i = 0; i < 200 && !shared->ready; i++) {
    if (waitpid(child, NULL, WNOHANG) == child) exit(1); // it has said why
    usleep(10000);
  }
  if (!shared->ready) die("the receiving socket", "did not begin");
  return child;
}

static void start_senders(const struct plan *plan, double end) {
  for (int i = 1; i < plan->senders; i++) {
    if (fork() != 0) continue;
    die_with_parent();
    prepare(&plan->flow, plan->tx_iface, i);
    send_until(plan, end);
    _exit(0);
  }
}

int main(int argc, char **argv) {
  struct plan plan = {.flow = {.frame_bytes = 64, .flows = 1}, .seconds = 2, .senders = 1, .burst = BATCH};
  for (int i = 1; i < argc; i++) take_option(&plan, argv[i]);
  if (!plan.tx_netns || !plan.rx_netns || !plan.flow.to_port) usage("tx, mac, from, to and rx are needed");
  die_with_parent();
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) die("cannot share", "memory");
  pid_t sink = plan.reads ? start_sink(&plan) : 0;
  unsigned index;
  int counter = open_counter(plan.rx_netns, plan.rx_iface, &index);
  enter_netns(plan.tx_netns);
  int fd = open_sender(plan.tx_iface);
  own_mac(fd, plan.tx_iface, plan.flow.from_mac);
  close(fd);
  struct counts device_first = received(counter, index);
  double warm_end = now_sec() + plan.seconds / 5, end = warm_end + plan.seconds;
  start_senders(&plan, end);
  prepare(&plan.flow, plan.tx_iface, 0);
  send_until(&plan, warm_end);
  double t0 = now_sec();
  struct counts device = received(counter, index);
  uint64_t got = shared->read, sent = sum_of(shared->sent, plan.senders);
  send_until(&plan, end);
  int bytes = plan.flow.frame_bytes;
  uint64_t read = shared->read - got, arrived = datagrams_between(device, received(counter, index), bytes);
  double took = now_sec() - t0;
  sent = sum_of(shared->sent, plan.senders) - sent;
  for (int i = 1; i < plan.senders; i++) wait(NULL);
  usleep(DRAIN_USEC);
  uint64_t total = plan.reads ? shared->read : datagrams_between(device_first, received(counter, index), bytes);
  if (sink > 0) kill(sink, SIGKILL);
  printf("{\"seconds\":%.3f,\"sentPerSec\":%.0f,\"arrivedPerSec\":%.0f,\"receivedPerSec\":%.0f,"
         "\"offeredTotal\":%llu,\"receivedTotal\":%llu}\n",
         took, (double)sent / took, (double)arrived / took, (double)(plan.reads ? read : arrived) / took,
         (unsigned long long)sum_of(shared->offered, plan.senders), (unsigned long long)total);
  return 0;
}
