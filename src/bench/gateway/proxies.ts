// The three proxies of the benchmark, with the same routes to the same servers: podwire's gateway, and Debian's nginx and
// HAProxy as their manuals have them as proxies with connections that are kept.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Peer {
  readonly name: string;
  readonly port: number;
  readonly command: readonly string[];
}

export interface Setting {
  readonly folder: string;
  readonly origins: readonly number[];
  readonly routes: number;
  /** Processes of nginx, threads of HAProxy. */
  readonly workers: number;
  /** The program of podwire. */
  readonly podwire: readonly string[];
}

export const HOST = "shop.example";

/** Paths of a fixed length, so that one costs as much as another. */
export function pathOf(i: number): string {
  return `/item${String(i).padStart(5, "0")}`;
}

export function gatewayProxy(
  name: string,
  port: number,
  { folder, origins, routes, podwire, workers }: Setting,
): Peer {
  const paths = Array.from({ length: routes }, (_, i) => ({
    ...{ path: pathOf(i), pathType: "Prefix" },
    backend: { service: { name: "web", port: { number: origins[0] } } },
  }));
  const objects = [
    {
      ...{
        apiVersion: "networking.k8s.io/v1",
        kind: "Ingress",
        metadata: { name: "web", namespace: "shop" },
      },
      spec: { rules: [{ host: HOST, http: { paths } }] },
    },
    {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "shop" } },
      // No slice may be on loopback.
      spec: { type: "ExternalName", externalName: "localhost", ports: [{ port: origins[0] }] },
    },
  ];
  const own = join(folder, name);
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, "objects.yaml"), objects.map((each) => JSON.stringify(each)).join("\n---\n"));
  const config = {
    ...{ source: { files: [join(own, "objects.yaml")] }, ingress: { http: port }, address: "127.0.0.1" },
    accessLog: "off",
    workers,
  };
  writeFileSync(join(own, "config.yaml"), JSON.stringify(config));
  return { name, port, command: [...podwire, "gateway", "--config", join(own, "config.yaml")] };
}

/** `location`: what a server does; the rest is the same for nginx as proxy and as origin. */
function nginx(name: string, port: number, folder: string, workers: number, http: string): Peer {
  const own = join(folder, name);
  mkdirSync(join(own, "logs"), { recursive: true });
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (each) => `${each}_temp_path ${own}/${each};`,
  );
  const user = process.getuid?.() === 0 ? "user root; " : ""; // the folder is ours alone
  const text = `${user}daemon off; worker_processes ${workers}; pid ${own}/pid; error_log ${own}/error.log;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; sendfile on; tcp_nodelay on; ${temp.join(" ")}
${http} }\n`;
  writeFileSync(join(own, "nginx.conf"), text);
  return {
    name,
    port,
    command: ["nginx", "-p", own, "-e", join(own, "error.log"), "-c", join(own, "nginx.conf")],
  };
}

/** A server that answers from memory: small, and 1 MiB. */
export function origin(name: string, port: number, folder: string): Peer {
  const files = join(folder, "files");
  mkdirSync(files, { recursive: true });
  writeFileSync(join(files, "large"), Buffer.alloc(1 << 20, "x"));
  return nginx(
    name,
    port,
    folder,
    1,
    `open_file_cache max=10; server { listen 127.0.0.1:${port} backlog=4096;
  location / { return 200 "hello, this is a small answer\\n"; }
  location /item00001/large { alias ${files}/large; } }`,
  );
}

export function nginxProxy(port: number, { folder, origins, routes, workers }: Setting): Peer {
  const servers = origins.map((each) => `server 127.0.0.1:${each};`).join(" ");
  const headers = `proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
  proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;
  proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Scheme $scheme;
  proxy_set_header X-Scheme $scheme;
  client_max_body_size 1m; proxy_buffering off;`;
  const locations = Array.from(
    { length: routes },
    (_, i) => `location ${pathOf(i)} { proxy_pass http://web; }`,
  );
  return nginx(
    "nginx",
    port,
    folder,
    workers,
    `upstream web { ${servers} keepalive 320; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port} backlog=4096; server_name ${HOST}; ${headers}\n${locations.join("\n")} }`,
  );
}

export function haproxy(port: number, { folder, origins, routes, workers }: Setting): Peer {
  const own = join(folder, "haproxy");
  mkdirSync(own, { recursive: true });
  const map = Array.from({ length: routes }, (_, i) => `${pathOf(i)} web`);
  writeFileSync(join(own, "paths.map"), `${map.join("\n")}\n`);
  const servers = origins.map((each, i) => `  server s${i} 127.0.0.1:${each} pool-max-conn 1024`);
  const text = `global
  nbthread ${workers}
  maxconn 4096
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:${port}
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Proto http
  use_backend %[path,map_beg(${own}/paths.map)] if { hdr(host) -i ${HOST} }
backend web
  balance roundrobin
${servers.join("\n")}
`;
  writeFileSync(join(own, "haproxy.cfg"), text);
  return { name: "haproxy", port, command: ["haproxy", "-db", "-f", join(own, "haproxy.cfg")] };
}
