// Pseudo-terminals, for programs that somebody looks at from afar.
#include "addon.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int set_size(int fd, int32_t columns, int32_t rows) {
  struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
  return ioctl(fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

static bool is_size(int32_t columns, int32_t rows) {
  return columns >= 0 && columns <= UINT16_MAX && rows >= 0 && rows <= UINT16_MAX;
}

// The slave is opened by the master's descriptor, not by its name: /dev/pts may be another one here.
static int open_pair(int32_t *out) {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (master < 0) return -errno;
  int unlocked = 0;
  int slave = ioctl(master, TIOCSPTLCK, &unlocked) < 0
                  ? -1
                  : ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) {
    int error = errno;
    close(master);
    return -error;
  }
  out[0] = master;
  out[1] = slave;
  return 0;
}

napi_value OpenPty(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 1);
  Ints out = arg_ints(&args, 0);
  if (args.bad) return throw_type_error(env);
  if (out.count < 2) return return_int(env, -EINVAL);
  return return_int(env, open_pair(out.data));
}

napi_value ResizePty(napi_env env, napi_callback_info info) {
  Args args;
  args_load(&args, env, info, 3);
  int32_t fd = arg_int(&args, 0), columns = arg_int(&args, 1), rows = arg_int(&args, 2);
  if (args.bad) return throw_type_error(env);
  if (!is_size(columns, rows)) return return_int(env, -EINVAL);
  return return_int(env, set_size(fd, columns, rows));
}
