// The virtual machines' set-up without virtual machines: two namespaces joined by a wire stand for them,
// and in each of them the scripts of vagrant/ and an agent that reads manifest files do what they do there.
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { cannotRun, PODWIRE, ROOT } from "../../src/testing/lab/lab.ts";
import { run } from "../../src/testing/lab/process.ts";

const MACHINES = [1, 2];
const REQUESTS = 12;
const netns = (i: number) => `pwt-vagrant-${i}`;

t.test("Vagrantfile is valid", { skip: cannotRun("vagrant") }, async (t) => {
  const result = await run(["vagrant", "validate", "--ignore-provider"], { cwd: ROOT });
  t.equal(result.status, 0, result.stderr);
});

/** What one machine does: network, agent, pod, requests to the other one, and everything away again. */
function script(i: number, folder: string): string {
  const other = `192.168.56.1${3 - i}`;
  return `
    mount -t tmpfs none /run/netns # names of pods are this machine's own
    export PODWIRE_ETC=${folder}
    ip addr add 192.168.56.1${i}/24 dev eth1 && ip link set eth1 up || exit 1
    ${ROOT}/vagrant/demo-pods up || exit 1
    ${PODWIRE} agent --config ${folder}/agent.yaml & agent=$!
    ip netns exec web-${i} ${ROOT}/vagrant/pod-http web-${i} & pod=$!
    touch ${folder}/../up-${i}
    for k in $(seq 100); do
      curl -s --unix-socket ${folder}/agent.sock http://x/status | grep -q '"ready":true' && break
      sleep 0.1
    done
    for k in $(seq 100); do [ -e ${folder}/../up-${3 - i} ] && break; sleep 0.1; done
    sleep 2
    for k in $(seq ${REQUESTS}); do
      echo "service $(ip netns exec client-${i} curl -sS --max-time 3 http://10.96.0.80/ 2>&1)"
      echo "nodeport $(curl -sS --max-time 3 http://${other}:30080/ 2>&1)"
      echo "own $(curl -sS --max-time 3 http://192.168.56.1${i}:30080/ 2>&1)"
      echo "loopback $(curl -sS --max-time 3 http://127.0.0.1:30080/ 2>&1)"
    done
    touch ${folder}/../done-${i}
    for k in $(seq 200); do [ -e ${folder}/../done-${3 - i} ] && break; sleep 0.1; done
    ip rule | sed 's/^/while /'
    kill $pod $agent; wait $agent
    ip rule | sed 's/^/after /'
    ${PODWIRE} agent --cleanup --config ${folder}/agent.yaml
    ${ROOT}/vagrant/demo-pods down
    ip rule | sed 's/^/cleaned /'
    ip -o link | sed 's/^/left /'
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
    uplink: { interface: "eth1" },
    socket: `${folder}/agent.sock`,
    source: { files: [`${folder}/manifests`] },
  };
}

t.test("two machines as vagrant/ makes them", { skip: cannotRun("unshare", "socat", "curl") }, async (t) => {
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
    await cp(join(ROOT, "vagrant", "manifests"), join(etc, "manifests"), { recursive: true });
    await writeFile(join(etc, "node.env"), `NODE_NAME=node${i}\n`);
    await writeFile(join(etc, "agent.yaml"), JSON.stringify(agentConfig(i, etc)));
    await run(["ip", "netns", "add", netns(i)]);
    await run(["ip", "-n", netns(i), "link", "set", "lo", "up"]);
  }
  const ends = ["netns", netns(1), "type", "veth", "peer", "name", "eth1", "netns", netns(2)];
  await run(["ip", "link", "add", "eth1", ...ends]);
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
    t.equal(answers("service").length, REQUESTS, "all answered", { stdout, stderr });
    for (const kind of ["nodeport", "own", "loopback"])
      t.equal(answers(kind).length, REQUESTS, `${kind}: all answered`, { stdout, stderr });
    t.match(stdout, /while 50:.* dport 30000-32767 lookup 30000/);
    t.notMatch(stdout, /after .*lookup 30000/, "the agent's end takes its rules away");
    t.ok(
      answers("service").every((line) => line.includes(` saw 10.244.${i}.3:`)),
      "the pod's own address is seen",
    );
    t.notMatch(stdout, /left .*host0/, "the clean-up takes host0 away");
    t.match(stdout, /cleaned 0:\tfrom all lookup local/);
  }
});
