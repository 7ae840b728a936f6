// The virtual machines' set-up without virtual machines: two namespaces joined by a wire stand for them,
// and in each of them the scripts of vagrant/ and an agent that reads manifest files do what they do there.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { cannotRun, PODWIRE, ROOT } from "../../src/testing/lab/lab.ts";
import { run } from "../../src/testing/lab/process.ts";

const MACHINES = [1, 2];
const REQUESTS = 12;
/** Where an agent has it of which nobody says otherwise. */
const SOCKET = "/run/podwire/agent.sock";
const netns = (i: number) => `pwt-vagrant-${i}`;

t.test("Vagrantfile is valid", { skip: cannotRun("vagrant") }, async (t) => {
  const validate = (PODWIRE_LAB: string) =>
    run(["vagrant", "validate", "--ignore-provider"], { cwd: ROOT, env: { PODWIRE_LAB } });
  for (const lab of ["files", "cluster"]) {
    const { status, stderr } = await validate(lab);
    t.equal(status, 0, `${lab}: ${stderr}`);
  }
  t.match((await validate("clutser")).stderr, /^PODWIRE_LAB=clutser: it is files or cluster$/m);
});

/** What one machine does: an agent on its one NIC, pods by CNI, requests to the other one, and everything away again. */
function script(i: number, folder: string): string {
  const other = `192.168.56.1${3 - i}`;
  const pods = [`web-${i}`, `client-${i}`];
  return `
    mkdir -p /run/podwire
    for own in netns podwire; do mount -t tmpfs none /run/$own; done # names of pods and the socket are this machine's
    network() { ls /sys/class/net; ip -o addr; ip rule; ip route; nft list ruleset; }
    network >${folder}/before
    export PODWIRE_CNI=${ROOT}/build/native/linux-${process.arch}/podwire-cni PODWIRE_SOCKET=${SOCKET}
    ${PODWIRE} agent --config ${folder}/agent.yaml & agent=$!
    for k in $(seq 100); do
      curl -s --unix-socket ${SOCKET} http://x/status | grep -q '"ready":true' && break
      sleep 0.1
    done
    for pod in ${pods.join(" ")}; do ${ROOT}/vagrant/pod up $pod || exit 1; done
    ip netns exec web-${i} ${ROOT}/vagrant/pod-http web-${i} & pod=$!
    for k in $(seq 100); do
      ip netns exec client-${i} curl -s --max-time 1 http://10.244.${i}.2:8080/ >/dev/null && break
      sleep 0.1
    done
    touch ${folder}/../up-${i}
    for k in $(seq 100); do [ -e ${folder}/../up-${3 - i} ] && break; sleep 0.1; done
    for k in $(seq ${REQUESTS}); do
      echo "service $(ip netns exec client-${i} curl -sS --max-time 3 http://10.96.0.80/ 2>&1)"
      echo "nodeport $(curl -sS --max-time 3 http://${other}:30080/ 2>&1)"
      echo "own $(curl -sS --max-time 3 http://192.168.56.1${i}:30080/ 2>&1)"
      echo "loopback $(curl -sS --max-time 3 http://127.0.0.1:30080/ 2>&1)"
    done
    touch ${folder}/../done-${i}
    for k in $(seq 200); do [ -e ${folder}/../done-${3 - i} ] && break; sleep 0.1; done
    kill $pod
    for pod in ${pods.join(" ")}; do ${ROOT}/vagrant/pod down $pod; done
    kill $agent; wait $agent
    ${PODWIRE} agent --cleanup ${i === 1 ? `--config ${folder}/agent.yaml` : ""} | sed 's/^/cleanup /'
    network | diff ${folder}/before - | sed 's/^/left /'
  `;
}

function agentConfig(i: number, folder: string): object {
  return {
    apiVersion: "podwire.dev/v1alpha1",
    kind: "AgentConfiguration",
    nodeName: `node${i}`,
    clusterCIDR: "10.244.0.0/16",
    serviceCIDR: "10.96.0.0/12",
    overlay: { type: "vxlan", vni: 1, port: 8472 },
    uplink: { interface: "eth1", mode: "shared" },
    source: { files: [join(ROOT, "vagrant/manifests")] },
    cni: { leaseFile: `${folder}/leases.json` },
  };
}

t.test(
  "two machines as vagrant/ makes them",
  { skip: cannotRun("unshare", "socat", "curl", "nft") },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "podwire-test-vagrant-"));
    const remove = async () => {
      for (const i of MACHINES) await run(["ip", "netns", "del", netns(i)]);
    };
    t.teardown(async () => {
      await remove();
      await rm(folder, { recursive: true, force: true });
    });
    await remove();
    for (const i of MACHINES) {
      const etc = join(folder, `etc-${i}`);
      await mkdir(etc);
      await writeFile(join(etc, "agent.yaml"), JSON.stringify(agentConfig(i, etc)));
      await run(["ip", "netns", "add", netns(i)]);
      await run(["ip", "-n", netns(i), "link", "set", "lo", "up"]);
    }
    const ends = ["netns", netns(1), "type", "veth", "peer", "name", "eth1", "netns", netns(2)];
    await run(["ip", "link", "add", "eth1", ...ends]);
    for (const i of MACHINES) {
      // No address that is there only when IPv6 has looked for another one.
      await run(["ip", "-n", netns(i), "link", "set", "eth1", "addrgenmode", "none", "up"]);
      await run(["ip", "-n", netns(i), "addr", "add", `192.168.56.1${i}/24`, "dev", "eth1"]);
    }
    const outputs = await Promise.all(
      MACHINES.map((i) => {
        const shell = ["unshare", "--mount", "bash", "-c", script(i, join(folder, `etc-${i}`))];
        return run(["ip", "netns", "exec", netns(i), ...shell]);
      }),
    );
    for (const i of MACHINES) {
      const { stdout, stderr } = outputs[i - 1];
      const answers = (kind: string) =>
        stdout.split("\n").filter((line) => line.startsWith(`${kind} pod web-`));
      for (const kind of ["service", "nodeport", "own", "loopback"])
        t.equal(answers(kind).length, REQUESTS, `${kind}: all answered`, { stdout, stderr });
      t.ok(
        answers("service").every((line) => line.includes(` saw 10.244.${i}.3:`)),
        "the pod's own address is seen",
      );
      for (const what of ["device host0, ", "net\\.ipv4\\.ip_local_reserved_ports: 50000-65535"])
        t.match(stdout, new RegExp(`^cleanup removed ${what}`, "m"), `machine ${i}`);
      t.notMatch(stdout, /^left /m, "the machine is as it was");
    }
  },
);
