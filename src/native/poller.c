// Waiting for any of many ports: epoll, level triggered, plus eventfds that other threads ring, and timers.
#include "addon.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MAX = 256 }; // tokens of one call; what is still ready is reported by the next

napi_value EventFd(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return return_int(env, fd < 0 ? -errno : fd);
}

// Expires every so many microseconds. To wait for ever on a poller that has it costs less than to wait until a time: that
// sets a timer of the kernel's for each wait.
napi_value TimerFd(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  int32_t period_us = arg_int(&args, 0);
  if (args.bad) return throw_type_error(env);
  if (period_us <= 0) return return_int(env, -EINVAL);
  const struct timespec period = {.tv_sec = period_us / 1000000, .tv_nsec = (long)(period_us % 1000000) * 1000};
  const struct itimerspec times = {.it_interval = period, .it_value = period};
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) return return_int(env, -errno);
  if (timerfd_settime(fd, 0, &times, NULL) < 0) {
    int error = errno;
    close(fd);
    return return_int(env, -error);
  }
  return return_int(env, fd);
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

enum { SLACK_NS = 1000, PAUSE_MAX_US = 1000 };

// Sleeps: whoever wants this core has it meanwhile. Timers of this thread are as exact as they can be from then on: by
// default they may be 50 us late.
napi_value Pause(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  int32_t us = arg_int(&args, 0);
  if (args.bad) return throw_type_error(env);
  if (us <= 0 || us > PAUSE_MAX_US) return return_int(env, -EINVAL);
  static _Thread_local bool is_exact;
  if (!is_exact) is_exact = prctl(PR_SET_TIMERSLACK, (unsigned long)SLACK_NS, 0, 0, 0) == 0;
  const struct timespec time = {.tv_nsec = (long)us * 1000};
  return return_int(env, nanosleep(&time, NULL) < 0 && errno != EINTR ? -errno : 0);
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

// Words of `clock`; the last two are added to, whoever reads them sets them back.
enum { NOW_MS, TOOK_MS, HOW, POLLED_MS, TAKEN_MS, CLOCK_WORDS };
enum { AT_ONCE, POLLED, BLOCKED };
// A look takes less, to sleep and be woken again takes more.
static const double AT_ONCE_MS = 0.002;
// Programs that packets are for have the core for less at a time, those that only compute keep it for more.
static const double TURN_MS = 0.5;

// Asks again and again. It yields in between: a program that wants this core has it before us. One that has taken it
// for long will do so again, and only who was asleep gets a core from it at once: then it is time to block.
static int spin_until(int poller, struct epoll_event *events, int max, double end, double *clock) {
  int ready = epoll_wait(poller, events, max, 0);
  clock[HOW] = ready == 0 ? POLLED : AT_ONCE;
  for (double at = clock[NOW_MS]; ready == 0 && at < end;) {
    sched_yield();
    const double now = monotonic_ms();
    if (now - at > TURN_MS) {
      clock[TAKEN_MS] += now - at;
      return epoll_wait(poller, events, max, 0);
    }
    clock[POLLED_MS] += now - at;
    at = now;
    ready = epoll_wait(poller, events, max, 0);
  }
  return ready;
}

static int wait_and_tell(int poller, struct epoll_event *events, int max, int32_t timeout_us, int32_t spin_us,
                         double *clock) {
  const double begin = monotonic_ms();
  clock[NOW_MS] = begin;
  int ready = spin_us > 0 ? spin_until(poller, events, max, begin + (double)spin_us / 1e3, clock) : 0;
  if (ready == 0) {
    clock[HOW] = BLOCKED;
    ready = wait_for(poller, events, max, timeout_us);
  }
  const int error = errno;
  clock[NOW_MS] = monotonic_ms();
  clock[TOOK_MS] = clock[NOW_MS] - begin;
  if (clock[TOOK_MS] < AT_ONCE_MS) clock[HOW] = AT_ONCE;
  errno = error;
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
  if (tokens.count == 0 || clock.count < CLOCK_WORDS || timeout_us < -1 || spin_us < 0)
    return return_int(env, -EINVAL);
  struct epoll_event events[WAIT_MAX];
  int max = tokens.count < WAIT_MAX ? (int)tokens.count : WAIT_MAX;
  const int ready = wait_and_tell(poller, events, max, timeout_us, spin_us, clock.data);
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

// struct sched_attr of linux/sched/types.h in its first version: C libraries before 2.41 lack it.
typedef struct {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
} SchedAttr;

// For how long this thread wants a core at a time (EEVDF, Linux 6.12; older kernels take no notice). Its share and its
// nice value stay as they are. Returns what the kernel says of it afterwards.
napi_value ThreadSlice(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  int32_t slice_us = arg_int(&args, 0);
  if (args.bad) return throw_type_error(env);
  if (slice_us <= 0) return return_int(env, -EINVAL);
  SchedAttr attr = {.size = sizeof attr};
  if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) < 0) return return_int(env, -errno);
  attr.size = sizeof attr;
  attr.flags = 0;
  attr.runtime = (uint64_t)slice_us * 1000;
  if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0) return return_int(env, -errno);
  if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) < 0) return return_int(env, -errno);
  return return_int(env, (int64_t)(attr.runtime / 1000));
}
