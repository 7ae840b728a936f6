// Frames as the Linux kernel sent them over a veth pair without checksum offload, recorded with tcpdump, each
// with the line `tcpdump -n -S` prints for it (VXLAN written on one line, no guesses at what runs over UDP
// and TCP ports; the fragment says where it lies). They keep builder and parser from being wrong together.

export interface GoldenFrame {
  readonly name: string;
  readonly hex: string;
  readonly text: string;
}

export const GOLDEN_FRAMES: readonly GoldenFrame[] = [
  {
    name: "duplicate address detection",
    hex:
      "3333fff401020a580af4010286dd6000000000203aff00000000000000000000000000000000ff020000000000000000" +
      "0001fff401028700cfde00000000fe8000000000000008580afffef401020e01aff26f1c69ec",
    text:
      "IP6 :: > ff02::1:fff4:102: ICMP6, neighbor solicitation, who has fe80::858:aff:fef4:102, " +
      "length 32",
  },
  {
    name: "multicast listener report behind a hop-by-hop header",
    hex:
      "3333000000160a580af4010286dd600000000038000100000000000000000000000000000000ff020000000000000000" +
      "0000000000163a000502000001008f006b780000000204000000ff0200000000000000000001fff4010204000000ff02" +
      "00000000000000000001ff000002",
    text: "IP6 :: > ff02::16: HBH ICMP6, multicast listener report v2, 2 group record(s), length 48",
  },
  {
    name: "neighbour solicitation",
    hex:
      "3333ff0000030a580af4010286dd6000000000203afffd000000000000000000000000000002ff020000000000000000" +
      "0001ff0000038700694700000000fd00000000000000000000000000000301010a580af40102",
    text: "IP6 fd00::2 > ff02::1:ff00:3: ICMP6, neighbor solicitation, who has fd00::3, length 32",
  },
  {
    name: "neighbour advertisement",
    hex:
      "0a580af401020a580af4010386dd6000000000203afffd000000000000000000000000000003fd000000000000000000" +
      "0000000000028800084a60000000fd00000000000000000000000000000302010a580af40103",
    text: "IP6 fd00::3 > fd00::2: ICMP6, neighbor advertisement, tgt is fd00::3, length 32",
  },
  {
    name: "router solicitation",
    hex:
      "3333000000020a580af4010286dd6000000000103afffe8000000000000008580afffef40102ff020000000000000000" +
      "000000000002850052920000000001010a580af40102",
    text: "IP6 fe80::858:aff:fef4:102 > ff02::2: ICMP6, router solicitation, length 16",
  },
  {
    name: "ICMPv6 echo request",
    hex:
      "0a580af401030a580af4010286dd6004c6cf00183a40fd000000000000000000000000000002fd000000000000000000" +
      "0000000000038000ef3a2ccd00013b17006b00000000261b080000000000",
    text: "IP6 fd00::2 > fd00::3: ICMP6, echo request, id 11469, seq 1, length 24",
  },
  {
    name: "ICMPv6 port unreachable",
    hex:
      "0a580af401020a580af4010386dd60067c50003e3a40fd000000000000000000000000000003fd000000000000000000" +
      "0000000000020104d50f000000006008be35000e1140fd000000000000000000000000000002fd000000000000000000" +
      "000000000003dee00035000ee2ad68656c6c6f36",
    text:
      "IP6 fd00::3 > fd00::2: ICMP6, destination unreachable, unreachable port, fd00::3 udp port 53, " +
      "length 62",
  },
  {
    name: "ICMP echo request",
    hex:
      "0a580af401030a580af4010208004500002c5d3e40004001c5a60af401020af401030800bca22ccc00013b17006b0000" +
      "0000cb0d080000000000",
    text: "IP 10.244.1.2 > 10.244.1.3: ICMP echo request, id 11468, seq 1, length 24",
  },
  {
    name: "ICMP echo reply",
    hex:
      "0a580af401020a580af4010308004500002c9df800004001c4ec0af401030af401020000c4a22ccc00013b17006b0000" +
      "0000cb0d080000000000",
    text: "IP 10.244.1.3 > 10.244.1.2: ICMP echo reply, id 11468, seq 1, length 24",
  },
  {
    name: "ICMP port unreachable",
    hex:
      "0a580af401020a580af40103080045c0003d9e0f00004001c4040af401030af40102030315080000000045000021e1f7" +
      "4000401140e80af401020af40103dd180035000dc6c768656c6c6f",
    text: "IP 10.244.1.3 > 10.244.1.2: ICMP 10.244.1.3 udp port 53 unreachable, length 41",
  },
  {
    name: "UDP over IPv4",
    hex: "0a580af401030a580af40102080045000021e1f74000401140e80af401020af40103dd180035000dc6c768656c6c6f",
    text: "IP 10.244.1.2.56600 > 10.244.1.3.53: UDP, length 5",
  },
  {
    name: "UDP over IPv6",
    hex:
      "0a580af401030a580af4010286dd6008be35000e1140fd000000000000000000000000000002fd000000000000000000" +
      "000000000003dee00035000ee2ad68656c6c6f36",
    text: "IP6 fd00::2.57056 > fd00::3.53: UDP, length 6",
  },
  {
    name: "last fragment of a UDP datagram",
    hex:
      "0a580af401030a580af40102080045000094011000b9401160a40af401020af401037878787878787878787878787878" +
      "787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878" +
      "787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878" +
      "787878787878787878787878787878787878",
    text: "IP 10.244.1.2 > 10.244.1.3: ip-proto-17 128 (frag 272:128@1480)",
  },
  {
    name: "TCP SYN",
    hex:
      "0a580af401030a580af4010208004500003c5c7d40004006c6520af401020af40103da2e1f907048d17600000000a002" +
      "faf08e9f0000020405b40402080ad7ff9302000000000103030a",
    text:
      "IP 10.244.1.2.55854 > 10.244.1.3.8080: Flags [S], seq 1883820406, win 64240, options [mss " +
      "1460,sackOK,TS val 3623850754 ecr 0,nop,wscale 10], length 0",
  },
  {
    name: "TCP SYN-ACK",
    hex:
      "0a580af401020a580af4010308004500003c00004000400622d00af401030af401021f90da2e71ffb2c17048d177a012" +
      "fe88a2a90000020405b40402080a74554f36d7ff93020103030a",
    text:
      "IP 10.244.1.3.8080 > 10.244.1.2.55854: Flags [S.], seq 1912582849, ack 1883820407, win 65160, " +
      "options [mss 1460,sackOK,TS val 1951747894 ecr 3623850754,nop,wscale 10], length 0",
  },
  {
    name: "TCP segment with five bytes",
    hex:
      "0a580af401030a580af401020800450000395c7f40004006c6530af401020af40103da2e1f907048d17771ffb2c28018" +
      "003f8be300000101080ad7ff930274554f3668656c6c6f",
    text:
      "IP 10.244.1.2.55854 > 10.244.1.3.8080: Flags [P.], seq 1883820407:1883820412, ack 1912582850, " +
      "win 63, options [nop,nop,TS val 3623850754 ecr 1951747894], length 5",
  },
  {
    name: "TCP FIN",
    hex:
      "0a580af401030a580af401020800450000345c8140004006c6560af401020af40103da2e1f907048d17c71ffb2c78011" +
      "003fcfb700000101080ad7ff930274554f36",
    text:
      "IP 10.244.1.2.55854 > 10.244.1.3.8080: Flags [F.], seq 1883820412, ack 1912582855, win 63, " +
      "options [nop,nop,TS val 3623850754 ecr 1951747894], length 0",
  },
  {
    name: "TCP RST",
    hex:
      "0a580af401020a580af4010308004500002800004000400622e40af401030af401020050b37600000000ec6c95835014" +
      "0000622d0000",
    text: "IP 10.244.1.3.80 > 10.244.1.2.45942: Flags [R.], seq 0, ack 3966539139, win 0, length 0",
  },
  {
    name: "TCP SYN over IPv6",
    hex:
      "0a580af401030a580af4010286dd6000d1fb00280640fd000000000000000000000000000002fd000000000000000000" +
      "000000000003e7720050c95eb9d000000000a002fd20f2bb0000020405a00402080ac5ad2d8e000000000103030a",
    text:
      "IP6 fd00::2.59250 > fd00::3.80: Flags [S], seq 3378428368, win 64800, options [mss " +
      "1440,sackOK,TS val 3316460942 ecr 0,nop,wscale 10], length 0",
  },
  {
    name: "TCP RST over IPv6",
    hex:
      "0a580af401020a580af4010386dd60037ac700140640fd000000000000000000000000000003fd000000000000000000" +
      "0000000000020050e77200000000c95eb9d1501400004ad70000",
    text: "IP6 fd00::3.80 > fd00::2.59250: Flags [R.], seq 0, ack 3378428369, win 0, length 0",
  },
  {
    name: "VXLAN around an ARP request",
    hex:
      "0a580af401030a580af4010208004500004e1d520000401145610af401020af40103bdcc2118003afb59080000000000" +
      "0700ffffffffffffa296d6d46d0b08060001080006040001a296d6d46d0bc0a84d01000000000000c0a84d02",
    text:
      "IP 10.244.1.2.48588 > 10.244.1.3.8472: VXLAN, flags [I] (0x08), vni 7: ARP, Request who-has " +
      "192.168.77.2 tell 192.168.77.1, length 28",
  },
  {
    name: "VXLAN around an ARP reply",
    hex:
      "0a580af401020a580af4010308004500004ec463000040119e4f0af401030af40102bdcc2118003aa869080000000000" +
      "0700a296d6d46d0b16ecfae397a70806000108000604000216ecfae397a7c0a84d02a296d6d46d0bc0a84d01",
    text:
      "IP 10.244.1.3.48588 > 10.244.1.2.8472: VXLAN, flags [I] (0x08), vni 7: ARP, Reply " +
      "192.168.77.2 is-at 16:ec:fa:e3:97:a7, length 28",
  },
  {
    name: "VXLAN around an ICMP echo request",
    hex:
      "0a580af401030a580af4010208004500005e1d530000401145500af401020af40103a3532118004a7c13080000000000" +
      "070016ecfae397a7a296d6d46d0b08004500002c5ad640004001c4a6c0a84d01c0a84d020800c0882cce00013b17006b" +
      "00000000c725080000000000",
    text:
      "IP 10.244.1.2.41811 > 10.244.1.3.8472: VXLAN, flags [I] (0x08), vni 7: IP 192.168.77.1 > " +
      "192.168.77.2: ICMP echo request, id 11470, seq 1, length 24",
  },
];
