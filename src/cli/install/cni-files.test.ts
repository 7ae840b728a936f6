// Plug-in and network in a node's folders, as a runtime that watches them sees it.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { readNetwork } from "../../cni/network-config.ts";
import { projectRoot } from "../../testing/tidy/source-tree.ts";
import { CONFLIST_FILE, layCni, PLUGIN, removeCni } from "./cni-files.ts";
import { CONFLIST } from "./cni-network.ts";

const root = mkdtempSync(join(tmpdir(), "podwire-cni-files-"));
t.teardown(() => rmSync(root, { recursive: true }));
const folders = { bin: join(root, "bin"), conf: join(root, "net.d") };
const [plugin, conflist] = [join(folders.bin, PLUGIN), join(folders.conf, CONFLIST_FILE)];
const lay = (program: string, network: string) => layCni(folders, Buffer.from(program), Buffer.from(network));

t.test("both are laid, the plug-in first, and nothing else is left", async (t) => {
  t.same(await lay("program", "network"), { written: [plugin, conflist], before: undefined });
  t.equal(readFileSync(plugin, "utf8"), "program");
  t.equal(statSync(plugin).mode & 0o777, 0o755);
  t.equal(statSync(conflist).mode & 0o777, 0o644);
  t.same([readdirSync(folders.bin), readdirSync(folders.conf)], [[PLUGIN], [CONFLIST_FILE]]);
});

t.test("what is there already is not touched", async (t) => {
  const inode = statSync(conflist).ino;
  t.same(await lay("program", "network"), { written: [], before: undefined });
  t.equal(statSync(conflist).ino, inode);
});

t.test("another one takes its place by a rename within the folder", async (t) => {
  const inode = statSync(conflist).ino;
  const seen = new Set<string>();
  const watcher = watch(folders.conf, (_, name) => seen.add(`${name}`));
  writeFileSync(join(folders.conf, ".10-podwire.conflist.new"), "half of a conflist that another run left");
  t.same((await lay("program", "other")).written, [conflist]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  watcher.close();
  t.equal(readFileSync(conflist, "utf8"), "other");
  t.not(statSync(conflist).ino, inode, "not written over");
  t.same([...seen].sort(), [".10-podwire.conflist.new", CONFLIST_FILE]);
});

t.test("a network that runtimes prefer to ours is named", async (t) => {
  for (const name of ["05-x.txt", "10-flannel.conflist", "99-last.conf"])
    writeFileSync(join(folders.conf, name), "{}");
  t.equal((await lay("program", "other")).before, "10-flannel.conflist");
});

t.test("away they go, and what is not ours stays", async (t) => {
  t.same(await removeCni(folders), [conflist, plugin]);
  t.same(await removeCni(folders), []);
  t.same(readdirSync(folders.conf), ["05-x.txt", "10-flannel.conflist", "99-last.conf"]);
  t.same(await removeCni({ bin: join(root, "none"), conf: join(root, "neither") }), []);
});

t.test("podwire's own network is one that the plug-in takes, and the one that the page shows", async (t) => {
  const { plugins, ...list } = JSON.parse(CONFLIST);
  const runtimeConfig = {
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }],
    mac: "0a:58:0a:f4:01:02",
  };
  const network = readNetwork({ ...plugins[0], ...list, runtimeConfig }, new Map(), "eth0");
  t.match(network, { name: "podwire", mac: "0a:58:0a:f4:01:02", hostPorts: [{ hostPort: 8080 }] });
  t.ok(readFileSync(join(projectRoot(), "docs/cni.md"), "utf8").includes(CONFLIST));
});
