// segmentTcp: a TCP superframe becomes finished segments, laid end to end, each behind a copy of a prefix
// (the VXLAN header). The rules, and the twin that tests compare this with byte for byte, are in
// wire/bytes/offload.ts.
#include "addon.h"
#include "offload.h"

typedef struct {
  const uint8_t *frame, *prefix;
  int32_t prefix_len, l3, l4; // l3, l4 from the start of the frame
  int32_t header, payload;    // bytes
  int32_t gso, from;
  int is_v6;
  uint8_t *out;
  int32_t room;
} Cut;

// Sums of everything that stays the same from segment to segment.
typedef struct {
  uint64_t ip, tcp;
  uint32_t seq;
  uint16_t id, offset_and_flags;
} Constant;

static int read_headers(Cut *cut, int32_t frame_len) {
  const uint8_t *ip = cut->frame + cut->l3, *tcp = cut->frame + cut->l4;
  const int32_t l3_len = cut->l4 - cut->l3;
  if (cut->l3 < ETH_BYTES || l3_len < IPV4_MIN || cut->l4 > frame_len - TCP_MIN) return -EINVAL;
  const int version = ip[0] >> 4;
  cut->is_v6 = version == 6;
  if (version == 4 && ((ip[0] & 15) * 4 != l3_len || ip[9] != PROTO_TCP)) return -EINVAL;
  if (version == 6 && (l3_len < IPV6_BYTES || (l3_len == IPV6_BYTES && ip[6] != PROTO_TCP))) return -EINVAL;
  if (version != 4 && version != 6) return -EINVAL;
  const int32_t tcp_len = (tcp[12] >> 4) * 4;
  cut->header = cut->l4 + tcp_len;
  if (tcp_len < TCP_MIN || cut->header > frame_len) return -EINVAL;
  cut->payload = frame_len - cut->header;
  if (cut->gso < 1 || cut->gso > IP_LENGTH_MAX - l3_len - tcp_len) return -EINVAL;
  return cut->from < 0 || cut->from > cut->payload || cut->from % cut->gso != 0 ? -EINVAL : 0;
}

static Constant constants(const Cut *cut) {
  const uint8_t *ip = cut->frame + cut->l3, *tcp = cut->frame + cut->l4;
  Constant c = {.seq = get32(tcp + 4), .offset_and_flags = get16(tcp + 12)};
  uint8_t copy[60]; // with the changing fields zero
  const size_t tcp_len = (size_t)(cut->header - cut->l4);
  memcpy(copy, tcp, tcp_len);
  memset(copy + 4, 0, 4);
  memset(copy + 12, 0, 2);
  memset(copy + 16, 0, 2);
  c.tcp = pseudo_sum(ip, cut->is_v6) + sum_header(copy, tcp_len);
  if (cut->is_v6) return c;
  c.id = get16(ip + 4);
  const size_t ip_len = (size_t)(cut->l4 - cut->l3);
  memcpy(copy, ip, ip_len);
  memset(copy + 2, 0, 4);
  memset(copy + 10, 0, 2);
  c.ip = sum_header(copy, ip_len);
  return c;
}

static void write_segment(const Cut *cut, const Constant *c, uint8_t *at, int32_t from, int32_t bytes) {
  memcpy(at, cut->prefix, (size_t)cut->prefix_len);
  uint8_t *frame = at + cut->prefix_len;
  memcpy(frame, cut->frame, (size_t)cut->header);
  const uint8_t *data = cut->frame + cut->header + from;
  const uint64_t payload = copy_sum_bytes(frame + cut->header, data, (size_t)bytes);
  uint8_t *ip = frame + cut->l3, *tcp = frame + cut->l4;
  const uint16_t l3_total = (uint16_t)(cut->header - cut->l3 + bytes);
  if (cut->is_v6) {
    put16(ip + 4, l3_total - IPV6_BYTES);
  } else {
    const uint16_t id = (uint16_t)(c->id + from / cut->gso);
    put16(ip + 2, l3_total);
    put16(ip + 4, id);
    put_sum(ip + 10, (uint16_t)~fold(c->ip + htons(l3_total) + htons(id)));
  }
  uint16_t flags = c->offset_and_flags;
  if (from + bytes < cut->payload) flags &= (uint16_t)~(TCP_FIN | TCP_PSH);
  if (from > 0) flags &= (uint16_t)~TCP_CWR;
  const uint32_t seq = htonl(c->seq + (uint32_t)from);
  const uint16_t tcp_total = (uint16_t)(cut->header - cut->l4 + bytes);
  memcpy(tcp + 4, &seq, sizeof seq);
  put16(tcp + 12, flags);
  put_sum(tcp + 16, (uint16_t)~fold(c->tcp + seq + htons(flags) + htons(tcp_total) + payload));
}

napi_value SegmentTcp(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 12);
  Bytes arena = arg_bytes(&args, 0);
  const int32_t frame = arg_int(&args, 1), frame_len = arg_int(&args, 2);
  const int32_t l3 = arg_int(&args, 3), l4 = arg_int(&args, 4);
  Cut cut = {.gso = arg_int(&args, 5), .from = arg_int(&args, 6)};
  const int32_t out = arg_int(&args, 7);
  cut.room = arg_int(&args, 8);
  const int32_t prefix = arg_int(&args, 9);
  cut.prefix_len = arg_int(&args, 10);
  Ints result = arg_ints(&args, 11);
  if (args.bad) return throw_type_error(env);
  if (result.count < 3 || !in_bounds(frame, frame_len, arena.bytes) ||
      !in_bounds(out, cut.room, arena.bytes) || !in_bounds(prefix, cut.prefix_len, arena.bytes) ||
      l3 < frame || l4 < l3 || l4 > frame + frame_len ||
      ranges_overlap(out, cut.room, frame, frame_len) ||
      ranges_overlap(out, cut.room, prefix, cut.prefix_len))
    return return_int(env, -EINVAL);
  cut.frame = arena.data + frame;
  cut.prefix = arena.data + prefix;
  cut.l3 = l3 - frame;
  cut.l4 = l4 - frame;
  cut.out = arena.data + out;
  if (read_headers(&cut, frame_len) < 0) return return_int(env, -EINVAL);
  const Constant c = constants(&cut);
  int32_t at = cut.from, written = 0, segments = 0;
  while (at < cut.payload) {
    const int32_t bytes = cut.payload - at < cut.gso ? cut.payload - at : cut.gso;
    const int32_t total = cut.prefix_len + cut.header + bytes;
    if (total > cut.room - written) break;
    write_segment(&cut, &c, cut.out + written, at, bytes);
    written += total;
    at += bytes;
    segments++;
  }
  result.data[0] = segments;
  result.data[1] = written;
  result.data[2] = cut.prefix_len + cut.header + cut.gso;
  return return_int(env, at - cut.from);
}
