// A bound on the UDP that waits in a device for the data plane. A TAP takes a thousand frames of whatever size, a packet
// socket megabytes, and whoever floods them makes everybody behind him wait; TCP stops by itself, UDP does not. So a
// program of eBPF at the entrance of the queue counts what the datagrams that wait will cost, and lets no more in beyond
// a limit; the reader (batch-io.c) takes off what it has read. Nothing else is dropped or counted.
//
// The cost of a frame, in units of a byte's copy: what one frame takes, a quarter of its length, and something for each
// piece that a superframe is of. Program and reader reckon alike; where they differ (a frame that counted, but found
// the device full) the reader sets it right whenever the queue is empty.
//
// The program stays with a persistent device. Nobody is refused anything by one whose reader has read nothing for two
// seconds: he is dead, and who reads now may know nothing of it.
#include "queue-bound.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef TUNSETFILTEREBPF // Linux 4.16
#define TUNSETFILTEREBPF _IOR('T', 225, int)
#endif
#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

enum { FRAME_COST = 3072, PIECE_SHIFT = 10, LENGTH_SHIFT = 2 };
enum { TYPE_AT = 12, PEEK = 12, V4_PROTOCOL = 11, V6_PROTOCOL = 8 };
enum { UDP = 17, TYPE_V4 = 0x0800, TYPE_V6 = 0x86dd, V4_END = 34, V6_END = 54, PORT_AT = 2, TUNNEL_BYTES = 16 };
enum { PASS_ALL = 0x7fffffff, DEAD_NS = 2000000000, FDS = 1 << 16, TAP = 0, PACKET = 1 };

static QueueBound *bounds[FDS];

QueueBound *queue_bound_of(int fd) {
  return fd < 0 || fd >= FDS ? NULL : __atomic_load_n(&bounds[fd], __ATOMIC_ACQUIRE);
}

static uint16_t word_at(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

// Where the header behind the IP header begins when that is UDP's, 0: it is not. `at`: of the EtherType.
static int32_t udp_behind(const uint8_t *frame, int32_t bytes, int32_t at) {
  if (bytes < at + PEEK) return 0;
  const uint8_t *peek = frame + at;
  if (word_at(peek) == TYPE_V4) return peek[V4_PROTOCOL] == UDP ? at - TYPE_AT + V4_END : 0;
  if (word_at(peek) == TYPE_V6) return peek[V6_PROTOCOL] == UDP ? at - TYPE_AT + V6_END : 0;
  return 0;
}

static bool is_datagram(const QueueBound *bound, const uint8_t *frame, int32_t bytes) {
  const int32_t udp = udp_behind(frame, bytes, TYPE_AT);
  if (udp == 0 || bound->tunnel_port == 0 || bytes < udp + PORT_AT + 2) return udp != 0;
  if (word_at(frame + udp + PORT_AT) != bound->tunnel_port) return true;
  return udp_behind(frame, bytes, udp + TUNNEL_BYTES + TYPE_AT) != 0;
}

void queue_bound_read(QueueBound *bound, const uint8_t *frame, int32_t bytes) {
  if (!is_datagram(bound, frame, bytes)) return;
  struct virtio_net_hdr vnet;
  memcpy(&vnet, frame - VNET_HDR_BYTES, sizeof vnet);
  const uint32_t pieces = vnet.gso_size == 0 ? 0 : (uint32_t)bytes / vnet.gso_size;
  const uint32_t cost = FRAME_COST + ((uint32_t)bytes >> LENGTH_SHIFT) + (pieces << PIECE_SHIFT);
  __atomic_store_n(&bound->account->out, bound->account->out + cost, __ATOMIC_RELAXED);
}

void queue_bound_empty(QueueBound *bound) {
  const uint32_t in = __atomic_load_n(&bound->account->in, __ATOMIC_RELAXED);
  __atomic_store_n(&bound->account->out, in, __ATOMIC_RELAXED);
}

void queue_bound_alive(QueueBound *bound) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  const uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  __atomic_store_n(&bound->account->read_ns, ns, __ATOMIC_RELAXED);
}

// The program is written into `code`; jumps to its end, where a frame passes, are filled in last.
typedef struct {
  struct bpf_insn code[96];
  int32_t count, exits[16], exit_count;
} Program;

static void emit(Program *p, uint8_t code, int dst, int src, int16_t off, int32_t imm) {
  p->code[p->count++] = (struct bpf_insn){
      .code = code, .dst_reg = (uint8_t)(dst & 15), .src_reg = (uint8_t)(src & 15), .off = off, .imm = imm};
}

enum { R0, R1, R2, R3, R4, R5, CTX, AT, COST, ACCOUNT, FRAME_POINTER };
enum {
  MOV = BPF_ALU64 | BPF_MOV | BPF_X,
  MOVI = BPF_ALU64 | BPF_MOV | BPF_K,
  ADD = BPF_ALU64 | BPF_ADD | BPF_X,
  ADDI = BPF_ALU64 | BPF_ADD | BPF_K,
  LOAD8 = BPF_LDX | BPF_MEM | BPF_B,
  LOAD16 = BPF_LDX | BPF_MEM | BPF_H,
  LOAD32 = BPF_LDX | BPF_MEM | BPF_W,
  LOAD64 = BPF_LDX | BPF_MEM | BPF_DW,
  ADD_ATOMIC = BPF_STX | BPF_W | 0xc0, // BPF_ATOMIC, BPF_XADD of older headers
  SLOT = -16
};

static void pass_unless_equal(Program *p, int reg, int32_t value, uint8_t jump) {
  p->exits[p->exit_count++] = p->count;
  emit(p, BPF_JMP | jump | BPF_K, reg, 0, 0, value);
}

// `bytes` of the packet from register AT on, onto the stack; passes a packet that has not so many.
static void load_bytes(Program *p, int32_t bytes) {
  emit(p, MOV, R1, CTX, 0, 0);
  emit(p, MOV, R2, AT, 0, 0);
  emit(p, MOV, R3, FRAME_POINTER, 0, 0);
  emit(p, ADDI, R3, 0, 0, SLOT);
  emit(p, MOVI, R4, 0, 0, bytes);
  emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
}

// Passes what is no UDP; AT moves from the EtherType to behind the IP header.
static void udp_or_pass(Program *p) {
  load_bytes(p, PEEK);
  pass_unless_equal(p, R0, 0, BPF_JNE);
  emit(p, LOAD16, R1, FRAME_POINTER, SLOT, 0);
  emit(p, BPF_JMP | BPF_JEQ | BPF_K, R1, 0, 4, htons(TYPE_V4));
  pass_unless_equal(p, R1, htons(TYPE_V6), BPF_JNE);
  emit(p, LOAD8, R2, FRAME_POINTER, SLOT + V6_PROTOCOL, 0);
  emit(p, ADDI, AT, 0, 0, V6_END - TYPE_AT);
  emit(p, BPF_JMP | BPF_JA, 0, 0, 2, 0);
  emit(p, LOAD8, R2, FRAME_POINTER, SLOT + V4_PROTOCOL, 0);
  emit(p, ADDI, AT, 0, 0, V4_END - TYPE_AT);
  pass_unless_equal(p, R2, UDP, BPF_JNE);
}

// Of a tunnel's packet the inner one counts.
static void look_into_tunnel(Program *p, uint16_t port) {
  emit(p, ADDI, AT, 0, 0, PORT_AT);
  load_bytes(p, 2);
  const int32_t fails = p->count;
  emit(p, BPF_JMP | BPF_JNE | BPF_K, R0, 0, 0, 0);
  emit(p, LOAD16, R1, FRAME_POINTER, SLOT, 0);
  const int32_t differs = p->count;
  emit(p, BPF_JMP | BPF_JNE | BPF_K, R1, 0, 0, htons(port));
  emit(p, ADDI, AT, 0, 0, TUNNEL_BYTES + TYPE_AT - PORT_AT);
  udp_or_pass(p);
  p->code[fails].off = (int16_t)(p->count - fails - 1);
  p->code[differs].off = (int16_t)(p->count - differs - 1);
}

static void reckon(Program *p) {
  emit(p, LOAD32, R2, CTX, offsetof(struct __sk_buff, len), 0);
  emit(p, LOAD32, R3, CTX, offsetof(struct __sk_buff, gso_size), 0);
  emit(p, MOV, COST, R2, 0, 0);
  emit(p, BPF_ALU64 | BPF_RSH | BPF_K, COST, 0, 0, LENGTH_SHIFT);
  emit(p, ADDI, COST, 0, 0, FRAME_COST);
  emit(p, BPF_JMP | BPF_JEQ | BPF_K, R3, 0, 3, 0);
  emit(p, BPF_ALU64 | BPF_DIV | BPF_X, R2, R3, 0, 0);
  emit(p, BPF_ALU64 | BPF_LSH | BPF_K, R2, 0, 0, PIECE_SHIFT);
  emit(p, ADD, COST, R2, 0, 0);
}

static void let_in_or_drop(Program *p, int map) {
  emit(p, BPF_LD | BPF_DW | BPF_IMM, ACCOUNT, BPF_PSEUDO_MAP_VALUE, 0, map);
  emit(p, 0, 0, 0, 0, 0);
  emit(p, LOAD32, R1, ACCOUNT, offsetof(QueueAccount, in), 0);
  emit(p, LOAD32, R2, ACCOUNT, offsetof(QueueAccount, out), 0);
  emit(p, BPF_ALU | BPF_SUB | BPF_X, R1, R2, 0, 0);
  emit(p, LOAD32, R2, ACCOUNT, offsetof(QueueAccount, limit), 0);
  emit(p, BPF_JMP32 | BPF_JSGT | BPF_X, R1, R2, 3, 0);
  emit(p, ADD_ATOMIC, ACCOUNT, COST, offsetof(QueueAccount, in), 0);
  emit(p, MOVI, R0, 0, 0, PASS_ALL);
  emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns);
  emit(p, LOAD64, R1, ACCOUNT, offsetof(QueueAccount, read_ns), 0);
  emit(p, BPF_ALU64 | BPF_SUB | BPF_X, R0, R1, 0, 0);
  emit(p, BPF_JMP | BPF_JSGT | BPF_K, R0, 0, 4, DEAD_NS);
  emit(p, MOVI, R1, 0, 0, 1);
  emit(p, ADD_ATOMIC, ACCOUNT, R1, offsetof(QueueAccount, drops), 0);
  emit(p, MOVI, R0, 0, 0, 0);
  emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  for (int32_t i = 0; i < p->exit_count; i++)
    p->code[p->exits[i]].off = (int16_t)(p->count - p->exits[i] - 1);
  emit(p, MOVI, R0, 0, 0, PASS_ALL);
  emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int bpf(int command, union bpf_attr *attr) { return (int)syscall(SYS_bpf, command, attr, sizeof *attr); }

static int load_program(int map, uint16_t tunnel_port) {
  Program p = {.count = 0};
  emit(&p, MOV, CTX, R1, 0, 0);
  emit(&p, LOAD32, R1, CTX, offsetof(struct __sk_buff, vlan_present), 0);
  pass_unless_equal(&p, R1, 0, BPF_JNE);
  emit(&p, MOVI, AT, 0, 0, TYPE_AT);
  udp_or_pass(&p);
  if (tunnel_port != 0) look_into_tunnel(&p, tunnel_port);
  reckon(&p);
  let_in_or_drop(&p, map);
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attr.insns = (uint64_t)(uintptr_t)p.code;
  attr.insn_cnt = (uint32_t)p.count;
  attr.license = (uint64_t)(uintptr_t) "Dual MIT/GPL";
  return bpf(BPF_PROG_LOAD, &attr);
}

static int attach_program(int fd, int kind, int program) {
  if (kind == TAP) return ioctl(fd, TUNSETFILTEREBPF, &program);
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof program);
}

static int open_bound(int fd, int kind, uint16_t tunnel_port, uint32_t limit) {
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = sizeof(uint32_t);
  attr.value_size = sizeof(QueueAccount);
  attr.max_entries = 1;
  attr.map_flags = BPF_F_MMAPABLE;
  const int map = bpf(BPF_MAP_CREATE, &attr);
  if (map < 0) return -errno;
  int error = 0, program = -1;
  QueueAccount *account = mmap(NULL, sizeof *account, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
  QueueBound *bound = account == MAP_FAILED ? NULL : calloc(1, sizeof *bound);
  if (bound != NULL) {
    account->limit = limit;
    *bound = (QueueBound){.account = account, .tunnel_port = tunnel_port, .kind = kind};
    program = load_program(map, tunnel_port);
  }
  if (program < 0 || attach_program(fd, kind, program) < 0) {
    error = errno;
    if (account != MAP_FAILED) munmap(account, sizeof *account);
    free(bound);
  } else {
    queue_bound_alive(bound);
    __atomic_store_n(&bounds[fd], bound, __ATOMIC_RELEASE);
  }
  if (program >= 0) close(program);
  close(map);
  return -error;
}

// Before the descriptor is closed, and while nobody reads from it.
void queue_bound_release(int fd) {
  QueueBound *bound = queue_bound_of(fd);
  if (bound == NULL) return;
  const int none = -1;
  if (bound->kind == TAP) ioctl(fd, TUNSETFILTEREBPF, &none);
  __atomic_store_n(&bounds[fd], NULL, __ATOMIC_RELEASE);
  munmap(bound->account, sizeof *bound->account);
  free(bound);
}

// Datagrams refused since the last call.
uint32_t queue_bound_drops(int fd) {
  QueueBound *bound = queue_bound_of(fd);
  if (bound == NULL) return 0;
  const uint32_t drops = __atomic_load_n(&bound->account->drops, __ATOMIC_RELAXED), more = drops - bound->told;
  bound->told = drops;
  return more;
}

napi_value BoundQueue(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 4);
  const int fd = arg_int(&args, 0), kind = arg_int(&args, 1), port = arg_int(&args, 2), limit = arg_int(&args, 3);
  if (args.bad) return throw_type_error(env);
  if (fd < 0 || fd >= FDS || (kind != TAP && kind != PACKET) || port < 0 || port > 0xffff || limit < 0)
    return return_int(env, -EINVAL);
  queue_bound_release(fd);
  if (limit > 0) return return_int(env, open_bound(fd, kind, (uint16_t)port, (uint32_t)limit));
  const int none = -1; // an agent before this one may have left a program
  return return_int(env, kind == TAP && ioctl(fd, TUNSETFILTEREBPF, &none) < 0 ? -errno : 0);
}

napi_value QueueDrops(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  const int fd = arg_int(&args, 0);
  if (args.bad) return throw_type_error(env);
  return return_int(env, queue_bound_drops(fd));
}
