/** The lab's Kubernetes API over a cluster of two nodes, as a server at loopback, and how to ask it as a user. */
import type { Test } from "tap";
import { makeCredentials } from "../../apiserver/certificates.ts";
import { serveApi } from "../../apiserver/server.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { ApiConnection } from "../../watch/api-server/connection.ts";
import type { Access } from "../../watch/api-server/kubeconfig.ts";
import { TestPrograms } from "../pod-programs.ts";
import { makeCluster } from "../world/make-cluster.ts";

export interface ListeningCluster {
  readonly cluster: Cluster;
  /** Without a token: as the administrator. */
  access(token?: string): Access;
  /** Ends with the test. */
  connection(token?: string): ApiConnection;
}

export async function listeningCluster(t: Test): Promise<ListeningCluster> {
  const credentials = await makeCredentials("test", ["localhost"], ["127.0.0.1"]);
  const cluster = makeCluster({ hasApi: true });
  const server = await serveApi({
    cluster,
    credentials,
    programs: new TestPrograms(),
    port: 0,
    log: () => {},
  });
  t.teardown(() => server.close());
  const bytes = (text: string) => ({ data: Buffer.from(text) });
  const servers = [new URL(`https://127.0.0.1:${server.port}`)];
  const access = (token = credentials.adminToken): Access => ({
    ...{ servers, ca: bytes(credentials.ca), token: bytes(token), insecure: false, headers: {} },
  });
  const connection = (token?: string): ApiConnection => {
    const made = new ApiConnection(access(token));
    t.teardown(() => made.close());
    return made;
  };
  return { cluster, access, connection };
}
