// AF_PACKET sockets: the agent's end of the node's network card.
#include "addon.h"
#include "queue-bound.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING // Linux 4.20
#define PACKET_IGNORE_OUTGOING 23
#endif

enum { PKT_VNET_HDR = 1, PKT_IGNORE_OUTGOING = 2, PKT_QDISC_BYPASS = 4, PKT_PROMISC = 8, PKT_SHUT = 16 };

typedef struct {
  char name[IFNAMSIZ];
  int32_t flags, rcv_bytes, snd_bytes;
} Target;

static int set_on(int fd, int option) {
  int one = 1;
  return setsockopt(fd, SOL_PACKET, option, &one, sizeof one);
}

// The forced form may pass rmem_max but needs CAP_NET_ADMIN in the first user namespace; a smaller buffer
// still works.
static int set_buffer(int fd, int forced, int plain, int32_t bytes) {
  if (bytes == 0 || setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) == 0) return 0;
  return setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
}

static int configure(int fd, const Target *target) {
  int index = (int)if_nametoindex(target->name);
  if (index == 0) return -1;
  if (set_on(fd, PACKET_AUXDATA) < 0) return -1; // where the kernel puts VLAN tags
  if ((target->flags & PKT_VNET_HDR) && set_on(fd, PACKET_VNET_HDR) < 0) return -1;
  if ((target->flags & PKT_IGNORE_OUTGOING) && set_on(fd, PACKET_IGNORE_OUTGOING) < 0) return -1;
  if ((target->flags & PKT_QDISC_BYPASS) && set_on(fd, PACKET_QDISC_BYPASS) < 0) return -1;
  if (target->flags & PKT_SHUT) { // nothing is received before packetFilter says what
    struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &none};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) return -1;
  }
  if (set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, target->rcv_bytes) < 0) return -1;
  if (set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, target->snd_bytes) < 0) return -1;
  if (target->flags & PKT_PROMISC) {
    struct packet_mreq membership = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};
    if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) < 0) return -1;
  }
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
  return bind(fd, (struct sockaddr *)&address, sizeof address);
}

static int open_packet(void *context) {
  // Protocol 0: nothing is received before bind, so no frame of another interface can slip in.
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (configure(fd, context) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

napi_value OpenPacket(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 5);
  char netns[256];
  Target target = {
      .flags = arg_int(&args, 2), .rcv_bytes = arg_int(&args, 3), .snd_bytes = arg_int(&args, 4)};
  int bad_text = arg_string(&args, 0, netns, sizeof netns);
  bad_text |= arg_string(&args, 1, target.name, sizeof target.name);
  if (args.bad) return throw_type_error(env);
  if (bad_text || target.name[0] == '\0' || (target.flags & ~31) || target.rcv_bytes < 0 ||
      target.snd_bytes < 0)
    return return_int(env, -EINVAL);
  return return_int(env, in_netns(netns, open_packet, &target));
}

// The array holds struct sock_filter as it is.
napi_value PacketFilter(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 2);
  int fd = arg_int(&args, 0);
  Ints program = arg_ints(&args, 1);
  if (args.bad) return throw_type_error(env);
  if (program.count == 0 || program.count % 2 != 0 || program.count / 2 > BPF_MAXINSNS)
    return return_int(env, -EINVAL);
  struct sock_fprog filter = {.len = (unsigned short)(program.count / 2), .filter = (void *)program.data};
  return return_int(
      env, setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0 ? -errno : 0);
}

// The kernel zeroes its counters on every read; `out` does the adding up. tp_packets includes the dropped
// ones.
napi_value PacketStats(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 2);
  int fd = arg_int(&args, 0);
  Doubles out = arg_doubles(&args, 1);
  if (args.bad) return throw_type_error(env);
  if (out.count < 2) return return_int(env, -EINVAL);
  struct tpacket_stats stats;
  socklen_t bytes = sizeof stats;
  if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes) < 0) return return_int(env, -errno);
  const uint32_t refused = queue_bound_drops(fd);
  out.data[0] += (double)stats.tp_packets + refused;
  out.data[1] += (double)stats.tp_drops + refused;
  return return_int(env, 0);
}
