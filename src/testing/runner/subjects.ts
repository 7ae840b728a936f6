// The table of contents of the tests: a subject names its test files by their own names, without folder and ending, so
// that a file keeps its subject wherever it lies, and a unit test and its kernel test of one name are found together.
// A star stands for any letters. A file may belong to several subjects, and belongs to one at least: tidy.test.ts.

export type Subjects = Readonly<Record<string, { readonly what: string; readonly files: string }>>;

export const SUBJECTS: Subjects = {
  wire: {
    what: "header accessors and checksums",
    files:
      "arp checksum crc32c ethernet ftp gre icmpv4 icmpv6 ipv4 ipv6 ndp plain-frames sctp tcp udp virtio-net vxlan",
  },
  pipeline: {
    what: "the life of a packet: bridge, engine, neighbours, routes, queues",
    files: `answer-arp answer-echo answer-nd bridge counters engine fdb growing-index hash-index icmp-corners ipv6-path
      kept-client fast-path first-packet look-ahead local-addresses live-tables neighbor* pipeline prefix-set
      record-ring route routes announce rates slot-pool token-bucket tx-queue wire-octets`,
  },
  spoofing: { what: "who may send what", files: "check-source check-options options-judge e2e-spoof" },
  fragments: { what: "fragments and reassembly", files: "reassemble fragments e2e-fragments" },
  offload: {
    what: "checksums and segments that are left to others, superframes",
    files: `complete-checksum transport-checksum frame-sum superframe* frame-offload offload join lossless-joining
      checksum e2e-checksum e2e-programs`,
  },
  overlay: {
    what: "the tunnel between nodes, ECN and MTU",
    files: `tunnel tunnel-bundles tunnel-gso tunnel-trial e2e-tunnel-gso bundles bundle-trial e2e-tunnel-bundles vteps
      ecn* vxlan addon-vxlan clamp-mss path-mtu e2e-overlay e2e-mtu e2e-kernel-node bpf-tunnel node
      agent-flannel real-flannel`,
  },
  ipv6: { what: "the second family", files: "ipv6* icmpv6 ndp answer-nd nd-judge e2e-ipv6" },
  conntrack: {
    what: "connections: states, tuples, events, their text, judged by the kernel",
    files:
      "conntrack* generic track-connection invalid-modes token-bucket icmp-corners talk sctp-judge translate masquerade",
  },
  sctp: { what: "SCTP", files: "sctp* crc32c e2e-sctp" },
  ftp: { what: "FTP's control connection", files: "ftp help-ftp e2e-ftp" },
  services: {
    what: "ClusterIP, node ports, affinity, load: from objects to rows to packets",
    files: `services service-* packed-services words-text split-services choose-backend session-affinity affinity
      endpoint-load claims
      masquerade translate reset-removed host-rules node health-checks packet-flow own-node-ports update kube-proxy-rows
      load-balancer* announced announcements mesh mesh-origin e2e-mesh-steering address-span e2e-load-balancer
      e2e-service e2e-node-port e2e-packetflow e2e-rolling e2e-update e2e-workloads health syn-flood`,
  },
  ipvs: {
    what: "schedulers, and proxy mode ipvs",
    files: "schedule ipvs answer-echo endpoint-load scheduling invalid-modes",
  },
  userspace: {
    what: "proxy mode userspace: another endpoint when one refuses",
    files: "userspace* retry-connection pending-connections",
  },
  policy: {
    what: "NetworkPolicy and ClusterNetworkPolicy",
    files: `*network-policy* policy-* kept-client e2e-keep-client rows explain-policy show-policies connection-rule
      address-order random-cluster calico-* e2e-policy* durable-policy`,
  },
  "host-port": { what: "host ports of pods", files: "host-port* explain-host-port e2e-host-port" },
  judge: {
    what: "packets by the kernel and by podwire, compared",
    files: "judge* *-judge talk affinity update",
  },
  rules: {
    what: "the kernel's rules, as kube-proxy writes them",
    files: "rules names iptables* nftables ipvs kube-chains kernel-rules rules host-rules",
  },
  explain: {
    what: "what happens to a packet, told without sending it",
    files: "explain* flow-expression userspace-rows packet-flow",
  },
  replay: {
    what: "captures through the pipeline",
    files: "replay* expected-packets read-once link-type pcap-reader",
  },
  trace: {
    what: "records of packets, as text",
    files:
      "trace* watch packet-ends answers hooks stream-capture record-ring packet-line kube-chains observe-cli e2e-observe",
  },
  capture: {
    what: "capture files, filters, dissection",
    files: `capture* pcap* bpf* dissect tcpdump link-type packet-line tshark e2e-pcap-uplink observe-cli
      e2e-observe`,
  },
  metrics: {
    what: "metrics, health, configz",
    files: "exposition plane-metrics sync-metrics proxy-health health* configz node-servers",
  },
  manifests: {
    what: "objects: YAML, fields, checks, defaults",
    files: `manifest* carried block-yaml
      corpus split-documents fields addresses kubernetes-types config config-map lab-addresses
      host-port ip loose-ip other-kinds e2e-bad-input habits judge-kind labels metadata rolling-update workload-endpoint`,
  },
  cluster: {
    what: "a cluster without an API server: store, controllers, allocation, sources",
    files: `cluster late-node store workloads rollouts cron-jobs garbage-collector volumes disruption-budgets
      endpoints endpoints-mirror pod-account host-ports habits sources dry-run event-recorder
      event-correlator node-writer local-pods api-source kept-object last-state desired-state reflector kubeconfig
      agent-api-server real-api-server
      e2e-workloads`,
  },
  api: {
    what: "the Kubernetes API of a lab: requests, watches, discovery, kubectl, patches, custom resources",
    files: `api watches server decode client-node kubectl-* patch patches patch-judge field-manager definitions custom
      kubernetes-service credentials root-certificate custom-definitions openapi cel-rules rule-costs
      cel-judge requests signing-judge`,
  },
  streams: {
    what: "what runs in pods, through the API: exec, attach, port-forwarding, logs; SPDY and WebSockets",
    files: "frame session upgrade exec-program lab-programs log-reader log-index kubectl-streams",
  },
  "pod-security": {
    what: "which pods are admitted, judged by Kubernetes' own library",
    files: "pod-security* evaluate security-context e2e-pod-security",
  },
  lab: {
    what: "namespaces, pods and supervision",
    files: `lab* topology names pod-* prober managed-process log-index echo kernel-* e2e-lifecycle e2e-bad-input
      lost-nodes environment enter image-program applications object-notes volume-files
      vagrant-node lab-addresses state-dir state-files machine memory-group node-object`,
  },
  agent: {
    what: "one node put together, its host, its threads and its servers",
    files: `busy-poll poll-room one-way cpu-latency thread-priority plane-* warm-* durable configz conntrack-settings
      node-servers service-arp capture-frames own-node-ports idle-cores vagrant-node agent-node
      give-back-times object-memory kind-versions
      agent-checks status-checks probe-answer check check-plan exec
      followed-objects object-source former-addresses e2e-workers shared-uplink
      shared-nics shared-hostile taken portless-peers record agent-lock rule-lines settle-uplink host-device kept-host
      routing-advice`,
  },
  dns: {
    what: "the cluster's DNS: names, messages, other servers, the server",
    files: "zone query reply answer dns-server dns dns-objects dns-relay dns-lab real-coredns",
  },
  cni: {
    what: "networks of containers, by the container networking interface",
    files:
      "bandwidth bandwidth-judge install cni cni-* leases real-runtime real-podman real-cluster real-e2e daemonset",
  },
  gateway: {
    what: "HTTP requests by Ingress and Gateway: objects, matches, annotations, filters, judged by the book",
    files: `ingress ingress-book gateway gateways gateway-book gateway-* match certificates connections explain-http http2
      same-as-evaluator explain-rows carried-out gateway-workers log-writer lent-socket request-counts
      proxy-protocol client-hello backend-identity tcp-front udp-front streams same-connections
      status-writes lease status-keeper node-parser lab-gateways e2e-gateway e2e-gateway-protocols real-gateway`,
  },
  mesh: {
    what: "connections of pods by mutual TLS: identities, policies, the node's proxy",
    files: "authorization* mesh-* *identities spiffe lab-mesh e2e-mesh*",
  },
  tables: {
    what: "objects in rows, as kubectl prints them, judged by a real API server",
    files: "age table tables custom-columns object-columns json-path*",
  },
  cli: {
    what: "the command line",
    files: `main get table describe client context object-columns path-mtu ping* read-once other-kinds cli-habits
      api-client cluster-commands commands *-flags delete-* outcomes wait log-output forwarded-ports cp plane-text
      capture-session conntrack-options flow-expression replay explain same-words same-changes generators-judge drafts
      revisions observe-cli agent-node agent-nodes open-nodes in-namespace documentation masked-secrets
      pod-session pod-commands`,
  },
  native: {
    what: "the addon and the devices",
    files:
      "addon-* binding datagram-joining tunnel-gso device* offload lossless-joining hostile-tap e2e-pcap-uplink",
  },
  fuzz: { what: "input gone wrong", files: "fuzz* manifest-fuzz hostile-tap" },
  house: {
    what: "rules that hold the code, the tools of tests and benchmarks",
    files: `tidy alloc cases cpu-account search-rate deopt choose-node frame-builder frame-offload columns gc-log
      asked-times change-times event-ledger idle-cores numbers sample compare plot page report perf-text stage-shares
      scale start tshark test-* shared-process at-end`,
  },
};

const patterns = (files: string): RegExp[] =>
  files.split(/\s+/).map((word) => new RegExp(`^${word.replaceAll("*", "[a-z0-9-]*")}$`));

/** A test file's own name: `src/wire/transport/tcp.test.ts` → `tcp`. */
export const testName = (file: string): string => file.replace(/^.*\//, "").replace(/\.test\.[jt]s$/, "");

/** Of these files those of one subject. */
export function filesOf(subject: string, files: readonly string[], subjects = SUBJECTS): string[] {
  const wanted = patterns(subjects[subject].files);
  return files.filter((file) => wanted.some((pattern) => pattern.test(testName(file))));
}

/** Files without a subject, and words of the table that name no file, one line each. */
export function findSubjectGaps(files: readonly string[], subjects = SUBJECTS): string[] {
  const names = files.map(testName);
  const all = Object.entries(subjects).flatMap(([subject, { files }]) =>
    patterns(files).map((pattern) => ({ subject, pattern })),
  );
  const stale = all.filter(({ pattern }) => !names.some((name) => pattern.test(name)));
  return [
    ...files
      .filter((file) => !all.some(({ pattern }) => pattern.test(testName(file))))
      .map((file) => `${file}: belongs to no subject: name it in runner/subjects.ts`),
    ...stale.map(({ subject, pattern }) => `subject ${subject}: ${pattern.source} names no test file`),
  ];
}

/**
 * Unit tests that need a process of their own: they measure it, change it for good, or ask what it holds. All others run
 * with others in one.
 */
const OWN_PROCESS = "alloc deopt thread-priority";

/** Whether this unit test may run in a process that has run others. */
export const mayShare = (file: string): boolean =>
  !patterns(OWN_PROCESS).some((pattern) => pattern.test(testName(file)));

/**
 * Native tests that get the machine for themselves: they hold podwire or a kernel to a time, send as fast as they can, or
 * ask which labs the machine has (agent-node, vagrant-node).
 * All others run two side by side; each has labs and namespaces of its own, and waits half of its time.
 */
const OWN_MACHINE =
  "agent-node vagrant-node shared-uplink shared-hostile conntrack-judge userspace health scheduling syn-flood " +
  "superframes e2e-load-balancer e2e-gateway e2e-gateway-protocols e2e-rolling e2e-update e2e-policy-live lab-agents";

/** Whether nothing is to run beside this native test. */
export const needsMachine = (file: string): boolean =>
  patterns(OWN_MACHINE).some((pattern) => pattern.test(testName(file)));

/** Names of labs and namespaces that more than one of these sources takes: side by side they would meet. */
export function findSharedNames(sources: Readonly<Record<string, string>>): string[] {
  const owners = new Map<string, string>();
  const findings: string[] = [];
  for (const [file, text] of Object.entries(sources)) {
    const found = text.matchAll(/(?:TestLab\.up|new Namespaces)\("([^"]+)"/g);
    for (const name of new Set([...found].map((match) => match[1]))) {
      const other = owners.get(name);
      if (other !== undefined) findings.push(`${file}: ${other} has a lab or namespaces called ${name}, too`);
      owners.set(name, file);
    }
  }
  return findings;
}
