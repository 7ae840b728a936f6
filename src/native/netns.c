// Opening things inside another network namespace. A descriptor belongs to the namespace it was opened in for
// good, so the thread goes there, opens, and returns. What must never happen is that it stays: the next
// socket Node opens on this thread would silently live in a pod. Therefore a failed return ends the process.
#include "addon.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int enter(const char *path) {
  int away = open(path, O_RDONLY | O_CLOEXEC);
  if (away < 0) return -errno;
  int result = setns(away, CLONE_NEWNET) < 0 ? -errno : 0;
  close(away);
  return result;
}

// Path NULL: a new namespace.
static int open_away(const char *path, int (*open_in)(void *), void *context) {
  // thread-self, not self: in a worker thread /proc/self is the main thread's namespace.
  int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home < 0) return -errno;
  int result = path != NULL ? enter(path) : unshare(CLONE_NEWNET) < 0 ? -errno : 0;
  if (result == 0) {
    result = open_in(context);
    if (setns(home, CLONE_NEWNET) < 0) {
      fprintf(stderr, "podwire addon: cannot return from %s: %s\n", path == NULL ? "a new namespace" : path,
              strerror(errno));
      abort();
    }
  }
  close(home);
  return result;
}

int in_netns(const char *path, int (*open_in)(void *), void *context) {
  if (path[0] == '\0') return open_in(context);
  if (path[0] != '/') return -EINVAL;
  return open_away(path, open_in, context);
}

int in_new_netns(int (*open_in)(void *), void *context) { return open_away(NULL, open_in, context); }

static int stay(void *context) {
  int fd = *(int *)context;
  return setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

// The exception to the rule above, for a process that means it: libpcap opens its interface in the namespace of the
// calling thread, so an agent that uses it moves its main thread into the node's namespace for good.
napi_value EnterNetns(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  char netns[256];
  int bad_text = arg_string(&args, 0, netns, sizeof netns);
  if (args.bad) return throw_type_error(env);
  if (bad_text || netns[0] != '/') return return_int(env, -EINVAL);
  int fd = open(netns, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return return_int(env, -errno);
  int result = stay(&fd);
  close(fd);
  return return_int(env, result);
}
