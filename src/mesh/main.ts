// podwire mesh: the proxy as a process, from its configuration to its end.
import type { Server } from "node:http";
import type { Server as TcpServer } from "node:net";
import { PodwireError } from "../base/errors.ts";
import { policyKinds } from "../kube/mesh/read-policy.ts";
import { servePages } from "../observe/proxy-pages.ts";
import { ApiSource } from "../watch/api-server/api-source.ts";
import { type Access, readAccess } from "../watch/api-server/kubeconfig.ts";
import { MESH_RESOURCES } from "../watch/api-server/resources.ts";
import { FilesSource, refuseReadOnce } from "../watch/files-source.ts";
import type { ObjectSource } from "../watch/source.ts";
import { addressesOf, capture, release } from "./capture/capture.ts";
import { dialAs, listenTransparent } from "./capture/transparent.ts";
import type { MeshConfig } from "./config.ts";
import { FileIdentities } from "./identity/file-identities.ts";
import { Identities } from "./identity/identities.ts";
import type { IdentitySource } from "./identity/identity-source.ts";
import { MeshProxy } from "./mesh-proxy.ts";
import { Origins } from "./origin.ts";

/** Resolves when a signal has ended it; rejects where it cannot start. `tell`: a line for people. */
export async function runMesh(config: MeshConfig, tell: (line: string) => void): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  const addresses = addressesOf(config.device);
  const { nodeName, trustDomain, limits, plain, hbonePort, capturePort, accessLog, drainSec } = config;
  const origins = config.agent === "" ? undefined : new Origins(config.agent);
  const proxy = new MeshProxy({
    ...{ source: sourceOf(config), nodeName, trustDomain, limits, plain, hbonePort, accessLog, dialAs },
    identities: identitiesOf(config, (line) => tell(`mesh: ${line}`)),
    onNote: (line) => tell(`mesh: ${line}`),
    serviceOf: async (client, to) => origins?.serviceOf(client, to),
  });
  process.on("SIGHUP", () => proxy.reopenLog());
  const taking: TcpServer[] = [];
  let pages: Server | undefined;
  try {
    const told = {
      get isReady() {
        return proxy.isReady;
      },
      metricsText: () => proxy.metricsText,
    };
    pages = await servePages(config.metrics, told, "MESH_METRICS");
    for (const address of addresses.some((each) => each.includes(":")) ? ["0.0.0.0", "::"] : ["0.0.0.0"])
      taking.push(listenTransparent(address, capturePort, (socket) => proxy.accept(socket)));
    await proxy.listen(addresses, hbonePort).catch((cause: NodeJS.ErrnoException) => {
      throw new PodwireError(`hbonePort: ${hbonePort} cannot be opened: ${cause.message}`, {
        code: "MESH_LISTEN",
        cause,
      });
    });
    capture({ device: config.device, addresses, port: capturePort });
    const where = `${addresses.join(", ")} port ${hbonePort}`;
    tell(`mesh: node ${nodeName}, connections of pods by ${config.device}, other proxies at ${where}`);
    await ended;
    tell(`mesh: ends when what is carried has ended, within ${drainSec} s`);
    await proxy.drain(drainSec);
  } finally {
    for (const each of taking) each.close();
    await proxy.close();
    origins?.close();
    release();
    pages?.close();
    pages?.closeAllConnections();
  }
}

/** Contexts are made anew where a certificate or the bundle is another one (identity/svid-contexts.ts). */
function identitiesOf(
  { identities, trustBundle, source }: MeshConfig,
  onNote: (line: string) => void,
): IdentitySource {
  if (identities !== undefined) return new FileIdentities(identities.directory, () => {});
  const options = "files" in source ? {} : source.kubernetes;
  const readAgain = (): Access => readAccess(options);
  return new Identities({
    access: readAgain(),
    readAgain,
    bundleFile: trustBundle,
    onNote,
    onChange: () => {},
  });
}

function sourceOf({ source, nodeName }: MeshConfig): ObjectSource {
  if ("files" in source) {
    refuseReadOnce(source.files);
    return new FilesSource(source.files, { customKinds: policyKinds, carries: true });
  }
  const options = source.kubernetes ?? {};
  const access = readAccess(options);
  return new ApiSource({
    ...{ access, readAgain: () => readAccess(options), nodeName, stateFile: "" },
    resources: MESH_RESOURCES,
  });
}
