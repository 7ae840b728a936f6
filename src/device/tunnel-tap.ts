/**
 * A TAP that superframes in VXLAN are written to, since a packet socket has no words for them: its virtio header says
 * where the tunnel lies (struct virtio_net_hdr_v1_hash_tunnel, Linux 6.17). What is written comes in at the device, and
 * tc(8) redirects all of it to the uplink, where the kernel or the card cuts it. Nobody reads it, it has no addresses,
 * and it goes with its descriptor, however the agent ends.
 */
import { IoKind } from "../base/addon.ts";
import { type Native, TapFlag, TapOffload } from "../native/binding.ts";
import { DeviceError, openError } from "./device-error.ts";

const { CSUM, TSO4, TSO6, TSO_ECN, TUNNEL, TUNNEL_CSUM } = TapOffload;

export class TunnelTap {
  readonly name: string;
  readonly ioKind = IoKind.TUNNEL_TAP;
  readonly fd: number;
  readonly #native: Native;
  #open = true;

  constructor(native: Native, netns: string, name: string) {
    this.#native = native;
    this.name = name;
    this.fd = native.openTap(netns, name, TapFlag.VNET_HDR | TapFlag.TUNNEL_HDR);
    if (this.fd < 0) throw openError("TAP device", name, netns, this.fd);
    const got = native.tapOffload(this.fd, CSUM | TSO4 | TSO6 | TSO_ECN | TUNNEL | TUNNEL_CSUM);
    if (got >= 0 && (got & TUNNEL) !== 0 && (got & TUNNEL_CSUM) !== 0) return;
    this.close();
    throw new DeviceError("this kernel takes no superframes in UDP tunnels from a TAP: Linux 6.17 does", {
      code: "DEVICE_NO_TUNNEL_GSO",
      interface: name,
      netns,
    });
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#native.closeFd(this.fd);
  }
}
