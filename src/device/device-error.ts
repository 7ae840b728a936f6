// What goes wrong when a device is opened, in one line that says what to do.
import { PodwireError } from "../base/errors.ts";
import { errnoName } from "../native/binding.ts";

export class DeviceError extends PodwireError {}

const HINTS: Readonly<Record<string, string>> = {
  EPERM: "needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN)",
  EACCES: "needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN)",
  ENODEV: "there is no such interface",
  EBUSY: "another process has it open",
  EINVAL: "the name is taken by something else, or the device was made with other flags",
  ENXIO: "the tun driver is missing: modprobe tun",
};

/** `result` is the negative return value of the addon. */
export function openError(what: string, name: string, netns: string, result: number): DeviceError {
  const errno = errnoName(result);
  const where = netns === "" ? "" : ` in ${netns}`;
  const hint = errno === "ENOENT" && netns !== "" ? "there is no such namespace" : HINTS[errno];
  const because = hint === undefined ? errno : `${hint} (${errno})`;
  return new DeviceError(`cannot open ${what} ${name}${where}: ${because}`, {
    code: "DEVICE_OPEN",
    errno,
    interface: name,
    netns,
  });
}
