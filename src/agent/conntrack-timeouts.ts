/** KubeProxyConfiguration's conntrack section → time-outs of the plane's table; null leaves nf_conntrack's default. */
import type { ProxyConfig } from "../control/config/proxy.ts";
import { Timeout } from "../dataplane/table/conntrack.ts";
import { TcpState } from "../dataplane/table/conntrack-tcp.ts";

export function conntrackTimeouts(c: ProxyConfig["conntrack"]): [which: number, seconds: number][] {
  const wanted: [number, number | null][] = [
    [Timeout.TCP + TcpState.ESTABLISHED, c.tcpEstablishedSec],
    [Timeout.TCP + TcpState.CLOSE_WAIT, c.tcpCloseWaitSec],
    [Timeout.UDP, c.udpSec],
    [Timeout.UDP_STREAM, c.udpStreamSec],
  ];
  // 0 is kube-proxy's word for "leave it".
  return wanted.filter((pair): pair is [number, number] => pair[1] !== null && pair[1] > 0);
}
