// podwire's way of waiting for packets, for the copy loop (src/plane: busy-poll.ts, poll-room.ts, thread-priority.ts,
// cpu-latency.ts; src/native/poller.c): polls for a while before it blocks, where a core is idle or that carries more;
// comes before other programs while it has little to do, and keeps idle cores awake while it is woken often. What a
// loop gains by these has nothing to do with what a data plane costs.
#ifndef PODWIRE_BENCH_WAITING_H
#define PODWIRE_BENCH_WAITING_H
#include "netns.h"
#include <poll.h>
#include <sys/resource.h>

enum { SPIN_US = 100, SPIN_FIRST_US = 30, SPIN_LEAST_US = 10, NICE_FIRST = -20, TURNS_BUSY = 1000 };

enum { FEW = 50, TRIAL = 3 }; // poll-room.ts
static const double FIRST_GAP = 4, LONGEST_GAP = 32, SOON = 0.3, TURN = 0.0005, NO_CORE = 0.1;

static struct waiting {
  double window_us, looked, wanted, idle, overload, busy, polled; // s, but for the window
  double amount; // carried since the last look: frames, and frames' worth of bytes
  int limit_us, nice, turns, latency_fd;
} waiting = {.latency_fd = -1};

static struct {
  int is_there, trial;
  double usual, carried, gap, next_trial;
} room = {.gap = 4, .next_trial = 1e18};

static double number_in(const char *file, int index) {
  double each[2] = {0, 0};
  FILE *f = fopen(file, "r");
  if (f == NULL) return 0;
  if (fscanf(f, "%lf %lf", &each[0], &each[1]) != 2) each[index] = 0;
  fclose(f);
  return index < 0 ? each[0] + each[1] : each[index];
}

static int guest_stops_idle_cores(void) {
  char driver[32] = "";
  FILE *f = fopen("/sys/devices/system/cpu/cpuidle/current_driver", "r");
  if (f == NULL) return 0;
  int found = fscanf(f, "%31s", driver) == 1 && strcmp(driver, "haltpoll") == 0;
  fclose(f);
  return found;
}

static void begin_waiting(void) {
  setsid(); // with autogroups, nice values count inside of a session only
  waiting.looked = waiting.overload = waiting.busy = now_sec();
  waiting.wanted = number_in("/proc/self/schedstat", -1) / 1e9;
  waiting.idle = number_in("/proc/uptime", 1);
}

static void set_nice(int nice) {
  waiting.nice = nice;
  setpriority(PRIO_PROCESS, 0, nice);
  FILE *f = fopen("/proc/self/autogroup", "w");
  if (f == NULL) return;
  fprintf(f, "%d", nice);
  fclose(f);
}

static void follow_latency(double turns_a_second, double now) {
  int32_t none = 0;
  if (turns_a_second >= TURNS_BUSY) {
    waiting.busy = now;
    if (waiting.latency_fd >= 0 || !guest_stops_idle_cores()) return;
    waiting.latency_fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
    if (waiting.latency_fd >= 0 && write(waiting.latency_fd, &none, sizeof none) < 0) return;
  } else if (now - waiting.busy >= 1 && waiting.latency_fd >= 0) {
    close(waiting.latency_fd);
    waiting.latency_fd = -1;
  }
}

static void compare_ways(double amount, double now) {
  if (amount > 2 * room.usual || amount * 2 < room.usual) {
    room.usual = amount;
    room.gap = FIRST_GAP;
    if (now + SOON < room.next_trial) room.next_trial = now + SOON;
  } else room.usual += (amount - room.usual) / 4;
  if (now < room.next_trial) return;
  room.is_there = !room.is_there;
  room.trial = TRIAL;
  room.carried = 0;
}

static void go_on_with_trial(double amount, double now) {
  if (room.trial < TRIAL) room.carried += amount;
  if (--room.trial > 0) return;
  double carried = room.carried / (TRIAL - 1);
  int is_better = carried > room.usual * 1.05;
  if (is_better) room.usual = carried;
  else room.is_there = !room.is_there;
  room.gap = is_better ? FIRST_GAP : room.gap * 2 < LONGEST_GAP ? room.gap * 2 : LONGEST_GAP;
  room.next_trial = now + room.gap;
}

static void look_for_room(double cores, double amount, double now) {
  if (cores >= (room.is_there ? 0.3 : 1)) {
    room.is_there = 1;
    room.trial = 0;
  } else if (room.trial > 0) go_on_with_trial(amount, now);
  else if (amount >= FEW) compare_ways(amount, now);
}

// Ten times a second.
static void look_at_load(double now) {
  struct waiting *w = &waiting;
  double took = now - w->looked, wanted = number_in("/proc/self/schedstat", -1) / 1e9;
  double idle = number_in("/proc/uptime", 1), cores = (idle - w->idle) / took;
  double polled = cores < NO_CORE ? 0 : w->polled / took, share = (wanted - w->wanted) / took - polled;
  follow_latency(w->turns / took, now);
  look_for_room(cores, w->amount, now);
  w->turns = 0;
  w->polled = w->amount = 0;
  w->looked = now;
  w->wanted = wanted;
  w->idle = idle;
  cores += polled;
  int much = share >= 0.75 || (share >= 0.3 && cores < 0.2);
  int clear = share < 0.6 && (share < 0.2 || cores >= 0.4);
  if (w->nice < 0 ? much : !clear) w->overload = now;
  if (w->nice < 0 && w->overload == now) set_nice(0);
  else if (w->nice == 0 && now - w->overload >= 0.5) set_nice(NICE_FIRST);
  w->limit_us = !room.is_there ? 0 : w->nice < 0 ? SPIN_FIRST_US : SPIN_US;
}

// Until one may be read, the window is over, or somebody took the core for long: he would do so again.
static int poll_for_frames(struct pollfd *fds, int count, double began) {
  int ready = poll(fds, (nfds_t)count, 0);
  for (double at = began; ready == 0 && at - began < waiting.window_us / 1e6;) {
    sched_yield();
    const double now = now_sec();
    ready = poll(fds, (nfds_t)count, 0);
    if (now - at > TURN) break;
    waiting.polled += now - at;
    at = now;
  }
  return ready;
}

// Returns when one of them may be read: after polling for the window, and then after blocking.
static void wait_for_frames(struct pollfd *fds, int count) {
  struct waiting *w = &waiting;
  double began = now_sec(), now;
  if (w->window_us <= 0 || poll_for_frames(fds, count, began) == 0) poll(fds, (nfds_t)count, 100);
  now = now_sec();
  double waited_us = (now - began) * 1e6;
  if (waited_us > w->limit_us) w->window_us = w->window_us < 2 * SPIN_LEAST_US ? 0 : w->window_us / 2;
  else w->window_us = w->window_us == 0 ? SPIN_LEAST_US : w->window_us * 2;
  if (w->window_us > w->limit_us) w->window_us = w->limit_us;
  if (now - w->looked >= 0.1) look_at_load(now);
}
#endif
