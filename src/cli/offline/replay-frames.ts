// The packets of a capture file as Ethernet frames, with what their link layer says about them.

import { readCapture } from "../../capture/capture-file.ts";
import { isReadable, LINKTYPE_ETHERNET, linkTypeText, toEthernet } from "../../capture/link-type.ts";
import type { CapturePacket } from "../../capture/pcapng.ts";
import type { ReplayFrame } from "../../offline/replay/replay.ts";
import { inputStream } from "../../watch/input.ts";
import { CliError, Exit } from "../errors.ts";

interface From {
  readonly id: number;
  readonly name: string;
  readonly linkType: number;
}

export async function* ethernetFrames(path: string): AsyncGenerator<ReplayFrame> {
  const interfaces = new Map<number, From>();
  for await (const item of readCapture(inputStream(path))) {
    if (item.type === "interface") {
      const { name, linkType = LINKTYPE_ETHERNET } = item.interface;
      interfaces.set(item.interfaceId, { id: item.interfaceId, name, linkType });
    }
    if (item.type !== "packet") continue;
    const unknown = { id: 0, name: "", linkType: LINKTYPE_ETHERNET };
    yield frameOf(path, item.packet, interfaces.get(item.packet.interfaceId) ?? unknown);
  }
}

function frameOf(path: string, packet: CapturePacket, { id, name, linkType }: From): ReplayFrame {
  if (!isReadable(linkType)) {
    const hint = "capture with tcpdump on an Ethernet interface, or on any";
    const message = `${path}: interface ${name}: packets of link type ${linkTypeText(linkType)} are not read: ${hint}`;
    throw new CliError(message, Exit.FAILED, "CAPTURE_LINK_TYPE");
  }
  const { data, timestampNs, originalLength = data.length } = packet;
  const link = toEthernet(linkType, data);
  const plain = { timestampNs, interfaceName: name, group: `${id}` };
  if (link === undefined) {
    return {
      ...plain,
      data,
      originalLength,
      foreign: `not read behind its ${linkTypeText(linkType)} header`,
    };
  }
  const direction = packet.direction ?? (link.direction === "other" ? undefined : link.direction);
  return {
    ...plain,
    data: link.data,
    originalLength: originalLength + link.grown,
    macs: link.macs,
    ...(link.ifIndex !== undefined && { group: `${id}/${link.ifIndex}` }),
    ...(direction !== undefined && { direction }),
    ...(link.isLoopback && { foreign: "on the machine's own loopback" }),
  };
}
