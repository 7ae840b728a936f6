// The three proxies of the benchmark, with the same routes to the same servers: podwire's gateway, and Debian's nginx
// and HAProxy as their manuals have them as proxies with connections that are kept; nginx with the buffers that make
// it fastest with long answers (of 1 MiB each took it several times as long with proxy_buffering off, as
// ingress-nginx has it).
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GRPC_PATH, HOST, pathOf, routesOf, serviceAt, sliceAt } from "./objects.ts";
import { ADDRESSES } from "./own-network.ts";

export interface Peer {
  readonly name: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly command: readonly string[];
}

export interface Ports {
  readonly port: number;
  readonly tlsPort: number;
}

export interface Setting {
  readonly folder: string;
  /** Where servers listen, by HTTP/1.1 and by HTTP/2. */
  readonly origin: number;
  readonly grpcOrigin: number;
  readonly routes: number;
  /** Processes of nginx and of podwire, threads of HAProxy. */
  readonly workers: number;
  /** What nginx and HAProxy show by TLS; podwire shows one of its own, of the same kind. PEM. */
  readonly certificate: { readonly cert: string; readonly key: string };
}

const ADDRESS = ADDRESSES[0];

/** `program`: what runs podwire's command line. `kubeconfig`: of an API server that has the objects; undefined: files. */
export function gatewayProxy(
  name: string,
  { port, tlsPort }: Ports,
  program: readonly string[],
  { folder, origin, grpcOrigin, routes, workers }: Setting,
  kubeconfig?: string,
): Peer {
  const own = join(folder, name);
  mkdirSync(own, { recursive: true });
  const objects = [
    ...routesOf(routes),
    ...[serviceAt("web"), sliceAt("web", [ADDRESS], origin)],
    ...[serviceAt("rpc"), sliceAt("rpc", [ADDRESS], grpcOrigin)],
  ];
  const file = join(own, "objects.yaml");
  writeFileSync(file, objects.map((each) => JSON.stringify(each)).join("\n---\n"));
  const config = {
    source: kubeconfig === undefined ? { files: [file] } : { kubernetes: { kubeconfig } },
    ...{ ingress: { http: port, https: tlsPort }, address: "127.0.0.1", accessLog: "off", workers },
  };
  writeFileSync(join(own, "config.yaml"), JSON.stringify(config));
  return {
    ...{ name, port, tlsPort },
    command: [...program, "gateway", "--config", join(own, "config.yaml")],
  };
}

/** `http`: what a server does; the rest is the same for nginx as proxy and as server behind the proxies. */
function nginx(name: string, ports: Ports, folder: string, workers: number, http: string): Peer {
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
    ...{ name, ...ports },
    command: ["nginx", "-p", own, "-e", join(own, "error.log"), "-c", join(own, "nginx.conf")],
  };
}

/** A server that answers from memory, with the port that it was asked at: small, and 1 MiB. */
export function originServer({ folder, origin }: Setting, other: number): Peer {
  const files = join(folder, "files");
  mkdirSync(files, { recursive: true });
  writeFileSync(join(files, "large"), Buffer.alloc(1 << 20, "x"));
  const text = `open_file_cache max=10; server { listen ${origin} backlog=4096; listen ${other} backlog=4096;
  location / { return 200 "hello, this is a small answer of $server_port\\n"; }
  location ${pathOf(1)}/large { alias ${files}/large; } }`;
  return nginx("origin", { port: origin, tlsPort: 0 }, folder, 1, text);
}

/**
 * By HTTP/2, with trailers, once a message is whole: nginx answers before, and its reset behind the answer makes nginx as
 * a proxy fail whatever the connection has next.
 */
export function grpcServer({ folder, grpcOrigin }: Setting): Peer {
  const files = join(folder, "messages");
  mkdirSync(join(files, dirname(GRPC_PATH)), { recursive: true });
  writeFileSync(join(files, GRPC_PATH), "a small message\n");
  const options = ["--no-tls", "-m", "1024", "--trailer", "grpc-status: 0", "-d", files];
  const command = ["nghttpd", ...options, "-a", "0.0.0.0", String(grpcOrigin)];
  return { name: "grpc", port: grpcOrigin, tlsPort: 0, command };
}

export function nginxProxy(name: string, ports: Ports, setting: Setting): Peer {
  const { folder, origin, grpcOrigin, routes, workers, certificate } = setting;
  for (const [part, pem] of Object.entries(certificate)) writeFileSync(join(folder, `${part}.pem`), pem);
  const headers = `proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
  proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;
  proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Scheme $scheme;
  proxy_set_header X-Scheme $scheme;
  client_max_body_size 1m; proxy_buffers 8 32k; proxy_buffer_size 32k; proxy_busy_buffers_size 64k;
  proxy_max_temp_file_size 0;`;
  const locations = Array.from(
    { length: routes },
    (_, i) => `location ${pathOf(i)} { proxy_pass http://web; }`,
  );
  const upstream = (of: string, port: number): string =>
    `upstream ${of} { server ${ADDRESS}:${port}; keepalive 320; keepalive_requests 1000000000; }`;
  const text = `${upstream("web", origin)} ${upstream("rpc", grpcOrigin)}
  server { listen 127.0.0.1:${ports.port} backlog=4096; listen 127.0.0.1:${ports.tlsPort} ssl http2 backlog=4096;
  ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;
  server_name ${HOST}; ${headers}\n${locations.join("\n")}
  location ${GRPC_PATH} { grpc_pass grpc://rpc; } }`;
  return nginx(name, ports, folder, workers, text);
}

export function haproxy(name: string, ports: Ports, setting: Setting): Peer {
  const { folder, origin, grpcOrigin, routes, workers, certificate } = setting;
  const own = join(folder, name);
  mkdirSync(own, { recursive: true });
  const map = Array.from({ length: routes }, (_, i) => `${pathOf(i)} web`);
  writeFileSync(join(own, "paths.map"), `${[...map, `${GRPC_PATH} rpc`].join("\n")}\n`);
  writeFileSync(join(own, "both.pem"), `${certificate.cert}\n${certificate.key}\n`);
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
  bind 127.0.0.1:${ports.port}
  bind 127.0.0.1:${ports.tlsPort} ssl crt ${own}/both.pem alpn h2,http/1.1
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Proto http
  use_backend %[path,map_beg(${own}/paths.map)] if { hdr(host) -m beg -i ${HOST} }
backend web
  server s0 ${ADDRESS}:${origin} pool-max-conn 1024
backend rpc
  server s0 ${ADDRESS}:${grpcOrigin} pool-max-conn 1024 proto h2
`;
  writeFileSync(join(own, "haproxy.cfg"), text);
  return { name, ...ports, command: ["haproxy", "-db", "-f", join(own, "haproxy.cfg")] };
}
