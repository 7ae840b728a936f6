// coalesce: finished inner frames, laid end to end behind equal prefixes, become as few frames as possible
// for a TAP. What Linux calls GRO, for segments that arrived together. The rules, and the twin that tests
// compare this with byte for byte, are in wire/bytes/offload.ts.
#include "addon.h"
#include "offload.h"

#include <linux/virtio_net.h>

enum { HEADROOM = 128, ALIGN = 16 };
enum { NEVER_MERGED = TCP_FIN | TCP_SYN | TCP_RST | TCP_URG, IPV4_DF = 0x4000 };

// One inner frame. header is 0 unless it is a TCP segment with data that may be merged if its checksum is
// right.
typedef struct {
  const uint8_t *at;
  int32_t len, l4, header;
  int is_v6;
} Piece;

typedef struct {
  uint8_t *arena;
  int32_t out, out_bytes, used; // used: bytes of `out` up to the end of the newest frame
  int32_t *desc, max_desc, frames;
  // The newest frame, while segments may still join it (open).
  uint8_t *frame;
  int32_t len, l4, header, mss, count;
  int is_v6, open;
  uint32_t next_seq;
} Run;

static Piece look(const uint8_t *at, int32_t len) {
  Piece p = {.at = at, .len = len};
  if (len < ETH_BYTES + IPV4_MIN + TCP_MIN) return p;
  const uint8_t *ip = at + ETH_BYTES;
  const uint16_t type = get16(at + 12);
  if (type == 0x0800) {
    if (ip[0] != 0x45 || ip[9] != PROTO_TCP || (get16(ip + 6) & 0x3fff) != 0) return p;
    if (get16(ip + 2) != len - ETH_BYTES || fold(sum_header(ip, IPV4_MIN)) != 0xffff) return p;
    p.l4 = ETH_BYTES + IPV4_MIN;
  } else if (type == 0x86dd) {
    if (len < ETH_BYTES + IPV6_BYTES + TCP_MIN || ip[0] >> 4 != 6 || ip[6] != PROTO_TCP) return p;
    if (get16(ip + 4) != len - ETH_BYTES - IPV6_BYTES) return p;
    p.l4 = ETH_BYTES + IPV6_BYTES;
    p.is_v6 = 1;
  } else {
    return p;
  }
  const int32_t tcp_len = (at[p.l4 + 12] >> 4) * 4;
  if (tcp_len < TCP_MIN || p.l4 + tcp_len >= len || (at[p.l4 + 13] & NEVER_MERGED)) return p;
  p.header = p.l4 + tcp_len;
  return p;
}

static bool same(const uint8_t *a, const uint8_t *b, int32_t from, int32_t to) {
  return memcmp(a + from, b + from, (size_t)(to - from)) == 0;
}

static bool joins(const Run *run, const Piece *p) {
  if (!run->open || p->header != run->header || p->is_v6 != run->is_v6) return false;
  const uint8_t *a = run->frame, *b = p->at, *ip = b + ETH_BYTES, *tcp = b + p->l4;
  const int32_t bytes = p->len - p->header;
  if (bytes > run->mss || run->len + bytes > ETH_BYTES + IP_LENGTH_MAX) return false;
  if (get32(tcp + 4) != run->next_seq || !same(a, b, 0, ETH_BYTES)) return false;
  if (p->is_v6) {
    // All but the payload length.
    if (!same(a, b, ETH_BYTES, ETH_BYTES + 4)) return false;
    if (!same(a, b, ETH_BYTES + 6, ETH_BYTES + IPV6_BYTES)) return false;
  } else {
    // TOS, DF, TTL, protocol and addresses; the id must count up unless DF makes it meaningless (RFC 6864
    // §4.1).
    if (!same(a, b, ETH_BYTES + 1, ETH_BYTES + 2) || !same(a, b, ETH_BYTES + 6, ETH_BYTES + 10)) return false;
    if (!same(a, b, ETH_BYTES + 12, ETH_BYTES + 20)) return false;
    const uint16_t id = (uint16_t)(get16(a + ETH_BYTES + 4) + run->count);
    if (!(get16(ip + 6) & IPV4_DF) && get16(ip + 4) != id) return false;
  }
  const uint8_t *first = a + p->l4;
  if (!same(first, tcp, 0, 4) || !same(first, tcp, 8, 13) || !same(first, tcp, 14, 16)) return false;
  if (((first[13] ^ tcp[13]) & ~(TCP_CWR | TCP_PSH)) != 0 || (tcp[13] & TCP_CWR)) return false;
  return same(first, tcp, 18, p->header - p->l4);
}

static bool is_verified(const Piece *p, uint64_t payload_sum) {
  const uint64_t sum = pseudo_sum(p->at + ETH_BYTES, p->is_v6) + htons((uint16_t)(p->len - p->l4)) +
                       sum_header(p->at + p->l4, (size_t)(p->header - p->l4)) + payload_sum;
  return fold(sum) == 0xffff;
}

// Gives the newest frame its headers. One that stayed alone is passed as it came, with an empty vnet header.
static void close_frame(Run *run) {
  if (run->frame == NULL) return;
  struct virtio_net_hdr vnet = {0};
  uint8_t *ip = run->frame + ETH_BYTES, *tcp = run->frame + run->l4;
  if (run->count > 1) {
    vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    vnet.gso_type = run->is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
    if (tcp[13] & TCP_CWR) vnet.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    vnet.hdr_len = (uint16_t)run->header;
    vnet.gso_size = (uint16_t)run->mss;
    vnet.csum_start = (uint16_t)run->l4;
    vnet.csum_offset = 16;
    if (run->is_v6) {
      put16(ip + 4, (uint16_t)(run->len - ETH_BYTES - IPV6_BYTES));
    } else {
      put16(ip + 2, (uint16_t)(run->len - ETH_BYTES));
      put16(ip + 10, 0);
      put_sum(ip + 10, (uint16_t)~fold(sum_header(ip, IPV4_MIN)));
    }
    put_sum(tcp + 16, fold(pseudo_sum(ip, run->is_v6) + htons((uint16_t)(run->len - run->l4))));
  }
  memcpy(run->frame - VNET_HDR_BYTES, &vnet, sizeof vnet);
  run->desc[2 * run->frames] = (int32_t)(run->frame - run->arena);
  run->desc[2 * run->frames + 1] = run->len;
  run->frames++;
  run->frame = NULL;
  run->open = 0;
}

// Puts the piece into a frame of its own; false when there is no room. The frame stays open if others may
// join it.
static bool start_frame(Run *run, const Piece *p) {
  const int64_t at = ((int64_t)(run->used + ALIGN - 1) & ~(int64_t)(ALIGN - 1)) + HEADROOM;
  if (run->frames == run->max_desc || at + p->len > run->out_bytes) return false;
  run->frame = run->arena + run->out + at;
  run->len = p->len;
  run->count = 1;
  run->used = (int32_t)at + p->len;
  if (p->header == 0) {
    memcpy(run->frame, p->at, (size_t)p->len);
    return true;
  }
  memcpy(run->frame, p->at, (size_t)p->header);
  const int32_t bytes = p->len - p->header;
  const uint64_t sum = copy_sum_bytes(run->frame + p->header, p->at + p->header, (size_t)bytes);
  run->l4 = p->l4;
  run->header = p->header;
  run->mss = bytes;
  run->is_v6 = p->is_v6;
  run->next_seq = get32(p->at + p->l4 + 4) + (uint32_t)bytes;
  run->open = !(p->at[p->l4 + 13] & TCP_PSH) && is_verified(p, sum);
  return true;
}

// Appends the piece to the open frame. A wrong checksum leaves the frame as it was (bytes past its end do not
// count).
static bool append(Run *run, const Piece *p) {
  const int32_t bytes = p->len - p->header;
  if (run->used + (int64_t)bytes > run->out_bytes) return false;
  const uint64_t sum = copy_sum_bytes(run->frame + run->len, p->at + p->header, (size_t)bytes);
  if (!is_verified(p, sum)) return false;
  run->frame[run->l4 + 13] |= p->at[p->l4 + 13] & TCP_PSH;
  run->len += bytes;
  run->used += bytes;
  run->count++;
  run->next_seq += (uint32_t)bytes;
  run->open = bytes == run->mss && !(p->at[p->l4 + 13] & TCP_PSH);
  return true;
}

napi_value Coalesce(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 9);
  Bytes arena = arg_bytes(&args, 0);
  const int32_t payload = arg_int(&args, 1), payload_len = arg_int(&args, 2);
  const int32_t stride = arg_int(&args, 3), prefix_len = arg_int(&args, 4);
  Run run = {.out = arg_int(&args, 5), .out_bytes = arg_int(&args, 6)};
  Ints desc = arg_ints(&args, 7);
  run.max_desc = arg_int(&args, 8);
  if (args.bad) return throw_type_error(env);
  if (!in_bounds(payload, payload_len, arena.bytes) || !in_bounds(run.out, run.out_bytes, arena.bytes) ||
      prefix_len < 0 || stride <= prefix_len || run.max_desc < 1 ||
      (int64_t)run.max_desc * 2 >= (int64_t)desc.count ||
      ranges_overlap(run.out, run.out_bytes, payload, payload_len))
    return return_int(env, -EINVAL);
  run.arena = arena.data;
  run.desc = desc.data;
  int32_t at = 0;
  while (at < payload_len) {
    const int32_t left = payload_len - at, bytes = left < stride ? left : stride;
    if (bytes > prefix_len) {
      const Piece p = look(arena.data + payload + at + prefix_len, bytes - prefix_len);
      if (p.header == 0 || !joins(&run, &p) || !append(&run, &p)) {
        close_frame(&run);
        if (!start_frame(&run, &p)) break;
      }
    }
    at += bytes;
  }
  close_frame(&run);
  run.desc[2 * run.max_desc] = at;
  if (run.frames == 0 && at < payload_len) return return_int(env, -ENOSPC);
  return return_int(env, run.frames);
}
