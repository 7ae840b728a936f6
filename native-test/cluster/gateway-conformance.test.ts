// The Gateway API's own conformance tests, by their own program, in a lab: each Gateway that they make is a gateway of the
// lab's, and their backends run in its pods. What they say of themselves, by profile, is quoted.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { parse } from "yaml";
import { TestLab } from "../../src/testing/lab/lab.ts";
import { noCluster, PROGRAMS } from "./support/control-plane.ts";

const PROFILES = ["GATEWAY-HTTP", "GATEWAY-TLS", "GATEWAY-GRPC"];
const TIMEOUT_MS = 1_200_000;
/** One of the suite's tests alone, by its name. */
const ONLY = process.env.PODWIRE_GATEWAY_TEST ?? "";
/** The suite's DNS server, as far as it asks it: an answer to each question. As a shell's program it takes any arguments. */
const ANSWERER = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (bytes, { port, address }) => {
  bytes[2] |= 0x80;
  socket.send(bytes, port, address);
});
socket.bind(53);
`;

interface Statistics {
  readonly Passed: number;
  readonly Failed: number;
  readonly Skipped: number;
}

interface Part {
  readonly result: string;
  readonly statistics: Statistics;
  readonly failedTests?: readonly string[];
  readonly unsupportedFeatures?: readonly string[];
}

interface Report {
  readonly gatewayAPIVersion: string;
  readonly gatewayAPIChannel: string;
  readonly profiles: readonly { readonly name: string; readonly core: Part; readonly extended?: Part }[];
  readonly succeededProvisionalTests?: readonly string[];
}

t.test("the Gateway API's conformance tests", { skip: noCluster("ip") }, async (t) => {
  const lab = await TestLab.up("conformance", {
    nodes: [{ name: "node1" }],
    loadBalancer: { pool: "192.168.50.128-192.168.50.190" },
    images: [
      { match: "echo-basic", run: [join(PROGRAMS, "echo-basic")] },
      { match: "coredns", run: ["/bin/sh", "-c", `exec "${process.execPath}" -e '${ANSWERER}'`] },
    ],
  });
  t.teardown(() => lab.down());
  const definitions = join(PROGRAMS, "gateway-api.yaml");
  await lab.output(["apply", "-f", definitions], { timeoutMs: 120_000 });
  const [kubeconfig, report] = [join(lab.folder, "kubeconfig"), join(lab.folder, "report.yaml")];
  const inside = JSON.parse(readFileSync(`/run/podwire/labs/${lab.name}/kubeconfig`, "utf8"));
  inside.clusters[0].cluster.server = "https://192.168.50.10:6443";
  writeFileSync(kubeconfig, JSON.stringify(inside));
  const addresses = ["USABLE_ADDRESS=192.168.50.189", "UNUSABLE_ADDRESS=192.0.2.99"];
  const words = [
    ...["env", `KUBECONFIG=${kubeconfig}`, ...addresses, join(PROGRAMS, "gateway-conformance.test")],
    ...[`-test.timeout=${TIMEOUT_MS / 1000}s`, "-gateway-class=podwire"],
    ...[
      `-conformance-profiles=${PROFILES.join()}`,
      `-report-output=${report}`,
      "-cleanup-base-resources=false",
    ],
    ...["-organization=podwire", "-project=podwire", "-url=https://podwire.example", "-version=0.1.0"],
    ...["-contact=podwire", ...(ONLY === "" ? [] : [`-run-test=${ONLY}`])],
  ];
  const { status, stdout, stderr } = await lab.exec("client/outside", words, { timeoutMs: TIMEOUT_MS });
  const said = `${stdout}\n${stderr}`;
  for (const line of said.match(/^ *--- FAIL: .*$/gm) ?? []) t.comment(`> ${line}`);
  t.equal(status, 0);
  if (status !== 0) for (const line of said.split("\n").slice(-200)) t.comment(line.trimEnd());

  const { gatewayAPIVersion, gatewayAPIChannel, profiles, ...rest } = parse(
    readFileSync(report, "utf8"),
  ) as Report;
  t.comment(`> Gateway API ${gatewayAPIVersion}, ${gatewayAPIChannel} channel`);
  const text = ({ result, statistics: { Passed, Failed, Skipped } }: Part): string =>
    `${result}: ${Passed} passed, ${Failed} failed, ${Skipped} skipped`;
  for (const { name, core, extended } of profiles) {
    t.comment(`> ${name} core ${text(core)}`);
    if (extended !== undefined) t.comment(`> ${name} extended ${text(extended)}`);
    for (const part of [core, extended]) t.same(part?.failedTests ?? [], [], name);
    const { unsupportedFeatures = [] } = extended ?? {};
    if (unsupportedFeatures.length > 0) t.comment(`> ${name} not claimed: ${unsupportedFeatures.join(", ")}`);
  }
  for (const name of rest.succeededProvisionalTests ?? []) t.comment(`> provisional, passed: ${name}`);
  if (ONLY === "") t.same(profiles.map(({ name }) => name).sort(), [...PROFILES].sort());
});
