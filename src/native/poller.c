// Waiting for any of many ports: epoll, level triggered, plus eventfds that other threads ring.
#include "addon.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MAX = 256 }; // tokens of one call; what is still ready is reported by the next

napi_value EventFd(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return return_int(env, fd < 0 ? -errno : fd);
}

napi_value Ring(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  int fd = arg_int(&args, 0);
  if (args.bad) return throw_type_error(env);
  uint64_t one = 1;
  // EAGAIN: the counter is at its end, so the bell has long been rung.
  if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN) return return_int(env, -errno);
  return return_int(env, 0);
}

napi_value PollerCreate(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = epoll_create1(EPOLL_CLOEXEC);
  return return_int(env, fd < 0 ? -errno : fd);
}

// The token in the low half; for an eventfd its descriptor + 1 in the high half, so that wait can read it
// empty.
static napi_value add(napi_env env, napi_callback_info info, bool is_event) {
  Args args;
  args_load(&args, env, info, 3);
  int poller = arg_int(&args, 0), fd = arg_int(&args, 1);
  uint32_t token = (uint32_t)arg_int(&args, 2);
  if (args.bad) return throw_type_error(env);
  if (poller < 0 || fd < 0) return return_int(env, -EBADF);
  struct epoll_event event = {.events = EPOLLIN};
  event.data.u64 = (is_event ? (uint64_t)(uint32_t)(fd + 1) << 32 : 0) | token;
  return return_int(env, epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0);
}

napi_value PollerAdd(napi_env env, napi_callback_info info) { return add(env, info, false); }

napi_value PollerAddEvent(napi_env env, napi_callback_info info) { return add(env, info, true); }

napi_value PollerRemove(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 2);
  int poller = arg_int(&args, 0), fd = arg_int(&args, 1);
  if (args.bad) return throw_type_error(env);
  return return_int(env, epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0);
}

static int wait_for(int poller, struct epoll_event *events, int max, int32_t timeout_us) {
  int timeout_ms = timeout_us < 0 ? -1 : (int)(((int64_t)timeout_us + 999) / 1000);
#ifdef SYS_epoll_pwait2
  static bool no_pwait2; // Linux before 5.11; every thread would find the same answer
  if (timeout_us > 0 && !no_pwait2) {
    struct timespec limit = {.tv_sec = timeout_us / 1000000, .tv_nsec = (long)(timeout_us % 1000000) * 1000};
    int ready = (int)syscall(SYS_epoll_pwait2, poller, events, max, &limit, NULL, 0);
    if (ready >= 0 || errno != ENOSYS) return ready;
    no_pwait2 = true;
  }
#endif
  return epoll_wait(poller, events, max, timeout_ms);
}

static double monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

// Asks again and again. It yields in between: a program that wants this core has it before us.
static int spin_until(int poller, struct epoll_event *events, int max, double end) {
  int ready;
  while ((ready = epoll_wait(poller, events, max, 0)) == 0 && monotonic_ms() < end) {
    sched_yield();
  }
  return ready;
}

napi_value Wait(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 5);
  int poller = arg_int(&args, 0);
  Ints tokens = arg_ints(&args, 1);
  int32_t timeout_us = arg_int(&args, 2), spin_us = arg_int(&args, 3);
  Doubles clock = arg_doubles(&args, 4);
  if (args.bad) return throw_type_error(env);
  if (tokens.count == 0 || clock.count < 2 || timeout_us < -1 || spin_us < 0) return return_int(env, -EINVAL);
  struct epoll_event events[WAIT_MAX];
  int max = tokens.count < WAIT_MAX ? (int)tokens.count : WAIT_MAX;
  double begin = monotonic_ms();
  int ready = spin_us > 0 ? spin_until(poller, events, max, begin + (double)spin_us / 1e3) : 0;
  if (ready == 0) ready = wait_for(poller, events, max, timeout_us);
  clock.data[0] = monotonic_ms();
  clock.data[1] = clock.data[0] - begin;
  if (ready < 0) return return_int(env, errno == EINTR ? 0 : -errno);
  for (int i = 0; i < ready; i++) {
    uint64_t data = events[i].data.u64, rung;
    if (data >> 32 != 0 && read((int)(data >> 32) - 1, &rung, sizeof rung) < 0) {
      // Somebody else emptied it: report the token all the same, a wake-up too many does no harm.
    }
    tokens.data[i] = (int32_t)(uint32_t)data;
  }
  return return_int(env, ready);
}

napi_value ThreadCpuUs(napi_env env, napi_callback_info info) {
  (void)info;
  struct timespec used;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) < 0) return return_int(env, -errno);
  return return_int(env, (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000);
}
