// Images that everybody uses, and the programs of this machine that do the same where they are installed (Debian's
// packages nginx, redis-server, postgresql, busybox, curl). lab.yaml's `images` come before these.
import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter } from "node:path";

export interface ImageRule {
  /** A pattern with * of the image's name: with or without registry, folder and tag. */
  readonly match: string;
  /** Program and arguments. */
  readonly run: readonly string[];
}

export interface BuiltIn extends ImageRule {
  /** What must be installed. */
  readonly needs: string;
  /** A container's args follow all of `run`, not its program alone. */
  readonly takesArgs?: boolean;
  /** Comes behind whatever the container's args are. */
  readonly always?: readonly string[];
  readonly workingDir?: string;
}

const POSTGRES_START = `
set -e
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
data=\${PGDATA:-/var/lib/postgresql/data}
user=\${POSTGRES_USER:-postgres}
as="setpriv --reuid=postgres --regid=postgres --init-groups"
mkdir -p "$data" /var/run/postgresql
chown postgres:postgres "$data" /var/run/postgresql
chmod 700 "$data"
if [ ! -s "$data/PG_VERSION" ]; then
  password=$(mktemp) && printf '%s\\n' "\${POSTGRES_PASSWORD:-postgres}" > "$password" && chown postgres "$password"
  $as "$bin/initdb" -D "$data" -U "$user" --auth-local=trust --auth-host=scram-sha-256 --pwfile="$password" -E UTF8
  rm -f "$password"
  printf 'host all all all %s\\n' "\${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >> "$data/pg_hba.conf"
  if [ "\${POSTGRES_DB:-$user}" != postgres ]; then
    printf 'CREATE DATABASE "%s" OWNER "%s";\\n' "\${POSTGRES_DB:-$user}" "$user" |
      $as "$bin/postgres" --single -j -D "$data" postgres
  fi
fi
[ "\${1:-postgres}" = postgres ] && { [ $# -eq 0 ] || shift; }
exec $as "$bin/postgres" -D "$data" -c listen_addresses='*' "$@"
`;

const RULES: readonly BuiltIn[] = [
  { match: "nginx", needs: "nginx", run: ["nginx", "-g", "daemon off;"] },
  {
    match: "redis",
    needs: "redis-server",
    run: ["redis-server"],
    always: ["--protected-mode", "no"],
    workingDir: "/data",
  },
  { match: "postgres", needs: "/usr/lib/postgresql", run: ["sh", "-c", POSTGRES_START, "postgres"] },
  { match: "curl", needs: "curl", run: ["curl"] },
];

/** Images whose programs are busybox' applets: no program of their own runs. */
const BUSYBOX = /^(?:busybox|alpine)$/;

/** The image of `podwire gateway`. */
export const GATEWAY_IMAGE = "podwire/gateway";
/** The image of `podwire mesh`. */
export const MESH_IMAGE = "podwire/mesh";
/** Images of podwire's own whose program is this very command line. */
const OWN_COMMANDS: Readonly<Record<string, string>> = { [GATEWAY_IMAGE]: "gateway", [MESH_IMAGE]: "mesh" };

const PODWIRE = /^(?:docker\.io\/)?podwire\//;

/** The machine's programs of daemons lie in sbin, which is not in everybody's PATH. */
export function isInstalled(program: string): boolean {
  if (program.startsWith("/")) return hasEntries(program);
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders.some((folder) => {
    try {
      accessSync(`${folder}/${program}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function hasEntries(folder: string): boolean {
  try {
    return readdirSync(folder).length > 0;
  } catch {
    return false;
  }
}

export function builtInOf(image: string): BuiltIn | undefined {
  const command = OWN_COMMANDS[withoutTag(image).replace(/^docker\.io\//, "")];
  if (command !== undefined)
    return { match: image, needs: "", run: [process.execPath, process.argv[1], command], takesArgs: true };
  const name = baseName(image);
  return RULES.find(({ match, needs }) => match === name && isInstalled(needs));
}

export function isBusybox(image: string): boolean {
  return BUSYBOX.test(baseName(image));
}

/** An image that everybody uses, whether or not its program is installed. */
export function isWellKnown(image: string): boolean {
  const name = baseName(image);
  return RULES.some(({ match }) => match === name);
}

/** An image that somebody has built: by folder, tag or digest. A plain word may stand for this machine's files. */
export function isSomebodys(image: string): boolean {
  return /[/:@]/.test(image) && !PODWIRE.test(image);
}

/** docker.io/library/nginx:1.27-alpine@sha256:… → nginx */
export function baseName(image: string): string {
  return withoutTag(image).split("/").at(-1) ?? "";
}

export function withoutTag(image: string): string {
  return image.replace(/@.*$/, "").replace(/:[^/]*$/, "");
}
