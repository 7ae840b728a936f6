// What the pods of Kubernetes' own tests run: agnhost beside the programs that these tests call by name. There is no way
// to a registry from where tests run, so these are the machine's own, with the libraries that they name.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Containerd } from "./containerd.ts";
import { PROGRAMS } from "./control-plane.ts";
import { type ImageFile, makeImage } from "./image.ts";

/** Not every machine has these. */
export const TOOLS = ["curl", "nc", "dig", "nslookup", "wget", "ss", "ip", "ldd"];
const SHELL =
  `bash cat cut date dd env false getent grep head hostname id kill ls mkdir mv od ps rm sed seq sh sleep sort
  stat tail tar tee test timeout touch tr true uname uniq wc which`.split(/\s+/);
/** It answers a connection with a packet that no connection fits. */
const STRAY_PACKETS = "regression-issue-74839";

interface Where {
  /** For what is made on the way. */
  readonly folder: string;
  readonly nodes: Iterable<Containerd>;
  /** Of a server: PATH.crt and PATH.key. Whose does not matter. */
  readonly certificate: string;
  /** What else agnhost's image has. */
  readonly more?: readonly ImageFile[];
}

/** Lays these images on nodes: one program has its own, in all others is agnhost. */
export async function layImages(names: readonly string[], where: Where): Promise<void> {
  const { folder, nodes } = where;
  const [stray] = names.filter((name) => name.includes(`/${STRAY_PACKETS}:`));
  const [first, ...others] = names.filter((name) => name !== stray);
  const program = { path: STRAY_PACKETS, from: join(PROGRAMS, STRAY_PACKETS) };
  const archives = [
    makeAgnhost(where, first),
    ...(stray === undefined ? [] : [makeImage(folder, stray, [program], [`/${STRAY_PACKETS}`])]),
  ];
  for (const containerd of nodes) {
    for (const archive of archives) await containerd.importImage(archive);
    if (others.length > 0) await containerd.tagImage(first, ...others);
  }
}

function makeAgnhost({ folder, certificate, more = [] }: Where, name: string): string {
  const programs = [...TOOLS.filter((tool) => tool !== "ldd"), ...SHELL].flatMap((program) => {
    const from = pathOf(program);
    return from === undefined ? [] : [{ path: `bin/${program}`, from }];
  });
  const libraries = new Set(programs.flatMap(({ from }) => librariesOf(from)));
  const files: ImageFile[] = [
    { path: "agnhost", from: join(PROGRAMS, "agnhost") },
    ...more,
    ...programs,
    ...[...libraries].map((path) => ({ path: path.slice(1), from: path })),
    ...["crt", "key"].map((kind) => ({ path: `localhost.${kind}`, from: `${certificate}.${kind}` })),
    { path: "etc/nsswitch.conf", text: "passwd: files\nhosts: files dns\n" },
    { path: "etc/passwd", text: "root:x:0:0:root:/:/bin/sh\n" },
    { path: "tmp/.keep" },
    { path: "uploads/.keep" },
  ];
  return makeImage(folder, name, files, ["/agnhost"], ["pause"]);
}

function pathOf(program: string): string | undefined {
  const folders = `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/** None of a script's, and of a program that is linked to none. */
function librariesOf(program: string): string[] {
  try {
    const said = execFileSync("ldd", [program], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return [...said.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1]);
  } catch {
    return [];
  }
}
