// `lab run`: the lab process from its start to its end.
import { writeFileSync } from "node:fs";
import { AgentAccess } from "./api/agent-access.ts";
import { FabricListener } from "./api/fabric-listener.ts";
import { keepKubernetesService } from "./api/kubernetes-service.ts";
import { openCluster } from "./cluster-state.ts";
import { LabError } from "./errors.ts";
import { LabGateways } from "./gateway/lab-gateways.ts";
import { startKubernetesApi } from "./kubernetes-api.ts";
import { Lab, logLine } from "./lab.ts";
import { LabMesh } from "./mesh/lab-mesh.ts";
import { LabPrograms } from "./pod/stream/lab-programs.ts";
import { identify } from "./process/process-table.ts";
import { serveLab } from "./server.ts";
import { labPaths, readTopology } from "./state-dir.ts";

const GRACE_DEFAULT_MS = 30_000;

export async function runLab(lab: string, program: string, graceMaxMs = GRACE_DEFAULT_MS): Promise<void> {
  const paths = labPaths(lab);
  const topology = readTopology(paths);
  if (topology === undefined)
    throw new LabError("LAB_NO_STATE", `lab run: ${paths.topology} is missing: lab up first`);
  writeFileSync(paths.pid, JSON.stringify(identify(process.pid)));
  const { cluster, save } = openCluster(topology, paths, logLine);
  const running = new Lab({ topology, paths, cluster, program, graceMaxMs });
  running.addNodes();
  const server = await serveLab(running, paths.socket, async (graceMs) => {
    await running.stop(graceMs);
    setTimeout(() => process.exit(0), 50); // after the answer is out
  });
  // Pods and agents go on without it: a new lab process takes them over.
  const leave = async (): Promise<void> => {
    server.close();
    await save();
    process.exit(0);
  };
  process.on("SIGTERM", leave).on("SIGINT", leave);
  process.on("SIGHUP", () => {});
  process.on("unhandledRejection", (error) =>
    running.log(`internal: ${String((error as Error)?.stack ?? error)}`),
  );
  const programs = new LabPrograms((pod) => running.runnerOf(pod));
  keepKubernetesService(cluster, topology);
  const { server: api, credentials } = await startKubernetesApi(
    topology,
    paths,
    cluster,
    programs,
    logLine,
  ).catch((cause: NodeJS.ErrnoException) => {
    const mend = cause.code === "EADDRNOTAVAIL" ? ": ip link set lo up" : "";
    const what = "lab run: the Kubernetes API, which agents follow, is not served";
    throw new LabError("LAB_API", `${what}: ${cause.message}${mend}`, { cause });
  });
  const fabric = new FabricListener(topology, api, logLine);
  fabric.open();
  running.onRepair = (made) => fabric.repaired(made);
  new LabGateways(cluster, topology, logLine).start();
  new LabMesh(cluster, topology, paths, logLine).start();
  await running.start(new AgentAccess({ topology, paths, api, credentials, log: logLine }));
  running.log(`lab ${lab} is up, pid ${process.pid}`);
}
