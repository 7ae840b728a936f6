// receive and transmit: many frames between descriptors and the arena in one call from JavaScript (an N-API
// call costs 150 ns, a read of a TAP 900). Offsets may live in shared memory, so each is read once, checked,
// then used.
//
// What arrives on an AF_PACKET socket with a vnet header when the peer is a kernel VXLAN device behind a veth
// pair (seen on Linux 6.18, iperf3 inside; native-test/addon/addon-vxlan.test.ts keeps looking): the superframe
// comes whole.
//   gso_type    1 (TCPV4), the *inner* protocol; nothing says that there is a tunnel around it
//   flags       1 (NEEDS_CSUM); csum_offset 16; csum_start 84: the inner TCP header as seen from the outer
//               Ethernet header, 14 + 20 + 8 + 8 + 14 + 20
//   gso_size    the inner MSS (1398 under an MTU of 1450); hdr_len 116: up to the end of the inner TCP header
//   lengths     outer IPv4, outer UDP and inner IPv4 lengths describe the whole superframe
//   checksums   outer and inner IPv4 right; the outer UDP field holds the plain sum of the outer
//               pseudo-header, the TCP field that of the inner one: neither can be verified, nor needs to be
// Frames of one segment come with gso_type 0 and the same flags and csum_start: their outer UDP checksum
// becomes right only when the inner one has been completed (the kernel's "local checksum offload").
// So stripping 50 bytes and subtracting 50 from csum_start leaves a finished superframe for the pod's TAP.
#include "addon.h"
#include "offload.h"
#include "queue-bound.h"

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KIND_TAP_VNET, KIND_PACKET_VNET, KIND_TAP, KIND_PACKET, KIND_TUNNEL_TAP };
// Messages of one recvmmsg or sendmmsg. The first has to guess at the size of the frames that wait.
enum { CHUNK = 32, FIRST_CHUNK = 8 };
// Pieces that may leave as one frame (the kernel takes 64 segments), and parts of all messages of one sendmmsg.
enum { PIECES_MAX = 64, PARTS = 512 };
enum { VLAN_TAG_BYTES = 4, VLAN_TAG_AT = 12 };
enum { NO_SUM = -1 };
enum { TUNNEL_HDR_BYTES = 24, GSO_TUNNEL_V6 = 0x40, UDP_BYTES = 8, VXLAN_BYTES = 8 };

typedef struct {
  int fd;
  bool has_vnet;
  Bytes arena;
  int32_t *offs, *lens, *sums; // already moved on to `first`
  int32_t max, slot_bytes, byte_budget, sum_from;
  int32_t count, bytes, dropped, error;
  QueueBound *bound; // NULL: what waits is not counted
} Intake;

static atomic_llong dropped_on_receive;

napi_value DroppedOnReceive(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result = NULL;
  napi_create_double(env, (double)atomic_load_explicit(&dropped_on_receive, memory_order_relaxed), &result);
  return result;
}

static bool slot_is_valid(const Intake *in, int32_t off) {
  return off >= VNET_HDR_BYTES && in_bounds(off, in->slot_bytes, in->arena.bytes);
}

// EINVAL from a read: the kernel took a frame whose GSO kind no vnet header can express, and dropped it.
static bool is_fatal(Intake *in, int error) {
  if (error == EINTR) return false;
  if (error == EINVAL && in->dropped < in->max) {
    in->dropped++;
    return false;
  }
  in->error = error;
  return true;
}

// The sum over a frame from byte sum_from on, while it is in the cache from being read. None of a frame whose checksum is
// partial, was verified, or is that of a superframe: nobody asks for it.
static int32_t sum_frame(const Intake *in, const uint8_t *frame, int32_t bytes) {
  if (in->sum_from < 0 || bytes <= in->sum_from) return NO_SUM;
  struct virtio_net_hdr vnet;
  memcpy(&vnet, frame - VNET_HDR_BYTES, sizeof vnet);
  if (vnet.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID)) return NO_SUM;
  if (vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE) return NO_SUM;
  return ntohs(fold(sum_bytes(frame + in->sum_from, (size_t)(bytes - in->sum_from))));
}

static void accept_frame(Intake *in, const uint8_t *frame, int32_t bytes) {
  if (in->bound != NULL) queue_bound_read(in->bound, frame, bytes);
  in->sums[in->count] = sum_frame(in, frame, bytes);
  in->lens[in->count++] = bytes;
  in->bytes += bytes;
}

// A TAP's read cannot say that it cut a frame short, so one that fills the slot to its end counts as cut.
static void receive_tap(Intake *in) {
  const int32_t header = in->has_vnet ? VNET_HDR_BYTES : 0;
  while (in->count < in->max && in->bytes < in->byte_budget) {
    const int32_t off = in->offs[in->count];
    if (!slot_is_valid(in, off)) {
      in->error = EINVAL;
      return;
    }
    uint8_t *frame = in->arena.data + off;
    ssize_t got = read(in->fd, frame - header, (size_t)(in->slot_bytes + header));
    if (got < 0) {
      if (is_fatal(in, errno)) return;
      continue;
    }
    if (got <= header || got == in->slot_bytes + header) {
      if (got == 0) return; // end of file: not a TAP
      if (++in->dropped > in->max) return;
      continue;
    }
    if (!in->has_vnet) memset(frame - VNET_HDR_BYTES, 0, VNET_HDR_BYTES);
    accept_frame(in, frame, (int32_t)got - header);
  }
}

// The kernel takes a VLAN tag out of the frame before sockets see it, and reports it beside the frame: put it
// back.
static bool restore_vlan_tag(const Intake *in, struct msghdr *message, uint8_t *frame, int32_t *bytes) {
  struct cmsghdr *control = CMSG_FIRSTHDR(message);
  for (; control != NULL; control = CMSG_NXTHDR(message, control)) {
    if (control->cmsg_level != SOL_PACKET || control->cmsg_type != PACKET_AUXDATA) continue;
    struct tpacket_auxdata aux;
    memcpy(&aux, CMSG_DATA(control), sizeof aux);
    if (!(aux.tp_status & TP_STATUS_VLAN_VALID)) return true;
    if (*bytes < VLAN_TAG_AT || *bytes + VLAN_TAG_BYTES > in->slot_bytes) return false;
    const uint16_t tpid = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : 0x8100;
    memmove(frame + VLAN_TAG_AT + VLAN_TAG_BYTES, frame + VLAN_TAG_AT, (size_t)(*bytes - VLAN_TAG_AT));
    const uint16_t tci = aux.tp_vlan_tci;
    const uint8_t tag[VLAN_TAG_BYTES] = {tpid >> 8, tpid & 0xff, tci >> 8, tci & 0xff};
    memcpy(frame + VLAN_TAG_AT, tag, sizeof tag);
    *bytes += VLAN_TAG_BYTES;
    struct virtio_net_hdr vnet;
    memcpy(&vnet, frame - VNET_HDR_BYTES, sizeof vnet);
    if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) vnet.csum_start += VLAN_TAG_BYTES;
    if (vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE) vnet.hdr_len += VLAN_TAG_BYTES;
    memcpy(frame - VNET_HDR_BYTES, &vnet, sizeof vnet);
    return true;
  }
  return true;
}

// Frames `got` of one recvmmsg become frames count..; the slot of a dropped one changes places with the next
// good one.
static void take_chunk(Intake *in, struct mmsghdr *messages, int got, int32_t header, int32_t *largest) {
  const int32_t start = in->count;
  for (int i = 0; i < got; i++) {
    struct msghdr *message = &messages[i].msg_hdr;
    uint8_t *base = message->msg_iov->iov_base;
    uint8_t *frame = base + header;
    int32_t bytes = (int32_t)messages[i].msg_len - header;
    if (header == 0) memset(frame - VNET_HDR_BYTES, 0, VNET_HDR_BYTES);
    if (bytes <= 0 || (message->msg_flags & MSG_TRUNC) || !restore_vlan_tag(in, message, frame, &bytes)) {
      in->dropped++;
      continue;
    }
    if (in->count != start + i) {
      in->offs[start + i] = in->offs[in->count];
      in->offs[in->count] = (int32_t)(frame - in->arena.data);
    }
    if (bytes > *largest) *largest = bytes;
    accept_frame(in, frame, bytes);
  }
}

static void receive_packets(Intake *in) {
  const int32_t header = in->has_vnet ? VNET_HDR_BYTES : 0;
  struct mmsghdr messages[CHUNK];
  struct iovec parts[CHUNK];
  _Alignas(struct cmsghdr) char control[CHUNK][CMSG_SPACE(sizeof(struct tpacket_auxdata))];
  int32_t largest = 0;
  while (in->count < in->max && in->bytes < in->byte_budget) {
    int want = largest == 0 ? FIRST_CHUNK : (in->byte_budget - in->bytes - 1) / largest + 1;
    if (want > CHUNK) want = CHUNK;
    if (want > in->max - in->count) want = in->max - in->count;
    for (int i = 0; i < want; i++) {
      const int32_t off = in->offs[in->count + i];
      if (!slot_is_valid(in, off)) {
        in->error = EINVAL;
        return;
      }
      parts[i] = (struct iovec){in->arena.data + off - header, (size_t)(in->slot_bytes + header)};
      memset(&messages[i], 0, sizeof messages[i]);
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_control = control[i];
      messages[i].msg_hdr.msg_controllen = sizeof control[i];
    }
    int got = recvmmsg(in->fd, messages, (unsigned)want, MSG_DONTWAIT, NULL);
    if (got < 0) {
      if (is_fatal(in, errno)) return;
      continue;
    }
    take_chunk(in, messages, got, header, &largest);
    if (got < want) in->error = EAGAIN; // the queue is empty: no need to ask again
    if (got < want || in->dropped > in->max) return;
  }
}

napi_value Receive(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 11);
  Intake in = {.fd = arg_int(&args, 0)};
  const int32_t kind = arg_int(&args, 1);
  in.arena = arg_bytes(&args, 2);
  Ints offs = arg_ints(&args, 3), lens = arg_ints(&args, 4);
  const int32_t first = arg_int(&args, 5);
  in.max = arg_int(&args, 6);
  in.slot_bytes = arg_int(&args, 7);
  in.byte_budget = arg_int(&args, 8);
  Ints sums = arg_ints(&args, 9);
  in.sum_from = arg_int(&args, 10);
  if (args.bad) return throw_type_error(env);
  if (kind < KIND_TAP_VNET || kind > KIND_PACKET || in.slot_bytes <= 0 || in.slot_bytes > (1 << 24) ||
      !in_bounds(first, in.max, offs.count) || !in_bounds(first, in.max, lens.count) ||
      !in_bounds(first, in.max, sums.count))
    return return_int(env, -EINVAL);
  in.has_vnet = kind == KIND_TAP_VNET || kind == KIND_PACKET_VNET;
  in.offs = offs.data + first;
  in.lens = lens.data + first;
  in.sums = sums.data + first;
  in.bound = queue_bound_of(in.fd);
  if (kind == KIND_TAP_VNET || kind == KIND_TAP)
    receive_tap(&in);
  else
    receive_packets(&in);
  if (in.bound != NULL) {
    if (in.error == EAGAIN) queue_bound_empty(in.bound);
    queue_bound_alive(in.bound);
  }
  if (in.dropped > 0) atomic_fetch_add_explicit(&dropped_on_receive, in.dropped, memory_order_relaxed);
  if (in.count > 0 || in.error == 0 || in.error == EAGAIN) return return_int(env, in.count);
  return return_int(env, -in.error);
}

typedef struct {
  int32_t *fds, *kinds, *offs, *lens, *results, *joins; // joins: NULL where no frame has pieces
  Bytes arena;
  int32_t count, sent;
} Output;

// A word of `joins`: the next piece of the same frame (0: none) in its lower half, above it the bytes that a
// piece leaves out at its front (0: it is a frame of its own).
static int32_t next_of(uint32_t join) { return (int32_t)(join & 0xffff); }
static int32_t skip_of(uint32_t join) { return (int32_t)(join >> 16); }

static bool is_piece(const Output *out, int32_t i) {
  return out->joins != NULL && skip_of((uint32_t)out->joins[i]) != 0;
}

// The piece after `i`, or 0. Always a later one, so that a walk ends.
static int32_t piece_after(const Output *out, int32_t i) {
  const int32_t next = out->joins == NULL ? 0 : next_of((uint32_t)out->joins[i]);
  return next > i && next < out->count ? next : 0;
}

// Frame i with its pieces has this result.
static void finish(Output *out, int32_t i, int32_t result) {
  for (int32_t pieces = 0; pieces < PIECES_MAX; pieces++) {
    out->results[i] = result;
    if (result == 0) out->sent++;
    i = piece_after(out, i);
    if (i == 0) return;
  }
}

// The bytes of frame i as the descriptor wants them, its pieces' after them: how many parts there are, or 0
// with the reason in the results.
static int frame_parts(Output *out, int32_t i, struct iovec *parts) {
  const int32_t fd = out->fds[i], kind = out->kinds[i], off = out->offs[i], len = out->lens[i];
  if (kind < KIND_TAP_VNET || kind > KIND_TUNNEL_TAP || len <= 0 || off < VNET_HDR_BYTES ||
      !in_bounds(off, len, out->arena.bytes)) {
    finish(out, i, -EINVAL);
    return 0;
  }
  const int32_t header = kind == KIND_TAP || kind == KIND_PACKET ? 0 : VNET_HDR_BYTES;
  parts[0] = (struct iovec){out->arena.data + off - header, (size_t)(len + header)};
  int count = 1;
  for (int32_t at = piece_after(out, i); at != 0; at = piece_after(out, at)) {
    const int32_t from = out->offs[at], bytes = out->lens[at], skip = skip_of((uint32_t)out->joins[at]);
    if (count == PIECES_MAX || out->fds[at] != fd || skip == 0 || bytes <= skip ||
        !in_bounds(from, bytes, out->arena.bytes)) {
      finish(out, i, -EINVAL);
      return 0;
    }
    parts[count++] = (struct iovec){out->arena.data + from + skip, (size_t)(bytes - skip)};
  }
  return count;
}

// Sends frames from..to, all on one socket. sendmmsg stops at the first failure and hides it when frames
// before it went out; the next call starts with the failed frame and then says why.
static void send_chunk(Output *out, int fd, const int32_t *index, struct mmsghdr *messages, int count) {
  for (int done = 0; done < count;) {
    int sent = sendmmsg(fd, messages + done, (unsigned)(count - done), MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    const int32_t error = sent < 0 ? -errno : -EIO;
    for (int i = 0; i < sent; i++) finish(out, index[done + i], 0);
    if (sent <= 0) finish(out, index[done], error);
    done += sent > 0 ? sent : 1;
  }
}

// Frames from i on that go to one socket, as many as one call takes; returns the one after them.
static int32_t send_packets(Output *out, int32_t i) {
  const int32_t fd = out->fds[i], kind = out->kinds[i];
  struct iovec parts[PARTS];
  struct mmsghdr messages[CHUNK];
  int32_t index[CHUNK];
  int gathered = 0, used = 0;
  for (; i < out->count && gathered < CHUNK && used + PIECES_MAX <= PARTS; i++) {
    if (is_piece(out, i)) continue;
    if (out->fds[i] != fd || out->kinds[i] != kind) break;
    const int count = frame_parts(out, i, parts + used);
    if (count == 0) continue;
    memset(&messages[gathered], 0, sizeof messages[0]);
    messages[gathered].msg_hdr.msg_iov = parts + used;
    messages[gathered].msg_hdr.msg_iovlen = (size_t)count;
    index[gathered++] = i;
    used += count;
  }
  if (gathered > 0) send_chunk(out, fd, index, messages, gathered);
  return i;
}

static void write_tap(Output *out, int32_t i) {
  struct iovec parts[PIECES_MAX];
  const int count = frame_parts(out, i, parts);
  if (count == 0) return;
  const ssize_t done = count == 1 ? write(out->fds[i], parts[0].iov_base, parts[0].iov_len)
                                  : writev(out->fds[i], parts, count);
  finish(out, i, done < 0 ? -errno : 0);
}

// A superframe in VXLAN, to a TAP whose header is struct virtio_net_hdr_v1_hash_tunnel (Linux 6.17): our ten
// bytes, ten of which nothing is used, and where the outer UDP and the inner IP header lie: fixed offsets, by
// the outer family.
static void write_tunnel(Output *out, int32_t i) {
  struct iovec frame[PIECES_MAX];
  if (frame_parts(out, i, frame) == 0) return;
  uint8_t *vnet = frame->iov_base;
  uint8_t header[TUNNEL_HDR_BYTES] = {0};
  memcpy(header, vnet, VNET_HDR_BYTES);
  const bool is_v6 = vnet[1] & GSO_TUNNEL_V6;
  const uint16_t udp = (uint16_t)(ETH_BYTES + (is_v6 ? IPV6_BYTES : IPV4_MIN));
  const uint16_t inner = (uint16_t)(udp + UDP_BYTES + VXLAN_BYTES + ETH_BYTES);
  memcpy(header + 20, &udp, sizeof udp); // little-endian, as podwire's machines are
  memcpy(header + 22, &inner, sizeof inner);
  const struct iovec parts[] = {{header, sizeof header},
                                {vnet + VNET_HDR_BYTES, frame->iov_len - VNET_HDR_BYTES}};
  finish(out, i, writev(out->fds[i], parts, 2) < 0 ? -errno : 0);
}

napi_value Transmit(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 7);
  Ints fds = arg_ints(&args, 0), kinds = arg_ints(&args, 1);
  Output out = {.arena = arg_bytes(&args, 2)};
  Ints offs = arg_ints(&args, 3), lens = arg_ints(&args, 4);
  out.count = arg_int(&args, 5);
  Ints results = arg_ints(&args, 6), joins = {.data = NULL};
  if (args.count > 7) {
    joins = arg_ints(&args, 7);
    out.joins = joins.data;
  }
  if (args.bad) return throw_type_error(env);
  if (!in_bounds(0, out.count, fds.count) || !in_bounds(0, out.count, kinds.count) ||
      !in_bounds(0, out.count, offs.count) || !in_bounds(0, out.count, lens.count) ||
      !in_bounds(0, out.count, results.count) ||
      (out.joins != NULL && !in_bounds(0, out.count, joins.count)))
    return return_int(env, -EINVAL);
  out.fds = fds.data, out.kinds = kinds.data, out.offs = offs.data, out.lens = lens.data;
  out.results = results.data;
  // A piece that no frame has would keep what its place held before.
  for (int32_t i = 0; i < out.count; i++)
    if (is_piece(&out, i)) out.results[i] = -EINVAL;
  for (int32_t i = 0; i < out.count;) {
    const int32_t kind = out.kinds[i];
    if (is_piece(&out, i)) {
      i++;
    } else if (kind == KIND_TAP_VNET || kind == KIND_TAP) {
      write_tap(&out, i++);
    } else if (kind == KIND_TUNNEL_TAP) {
      write_tunnel(&out, i++);
    } else {
      i = send_packets(&out, i);
    }
  }
  return return_int(env, out.sent);
}
