// A lab that is only its sockets: state directory, lab process and one agent, all answered by this process.
// Tests of the command line's side of the agents' API use it, without TAPs, pods or a data plane.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { fileURLToPath } from "node:url";
import { agentSocket, labPaths } from "../../src/lab/state-dir.ts";
import { type Running, run, start } from "../../src/testing/lab/process.ts";

/** The command line of this build. */
const PODWIRE = [process.execPath, fileURLToPath(new URL("../../src/cli/main.js", import.meta.url))];

export interface FakeNode {
  name: string;
  agent: "podwire" | "kernel";
  netns?: string;
  address?: string;
  vtepAddress?: string;
}

export class FakeLab {
  readonly name: string;
  readonly #servers: Server[] = [];

  constructor(name: string, nodes: FakeNode[]) {
    this.name = `${name}-${process.pid}`;
    const paths = labPaths(this.name);
    mkdirSync(paths.agents, { recursive: true });
    const topology = {
      lab: this.name,
      overlay: { type: "vxlan", vni: 1, port: 8472 },
      nodes: nodes.map((node) => ({ netns: "", address: "", vtepAddress: "", gateway: "", ...node })),
      clients: [{ name: "outside", netns: "", address: "192.168.50.100" }],
    };
    writeFileSync(paths.topology, JSON.stringify(topology));
    process.on("exit", () => this.#remove());
  }

  /** The lab process: `path` → JSON. */
  async lab(answers: Record<string, unknown>): Promise<void> {
    await this.#listen(labPaths(this.name).socket, (request, response) => {
      const answer = answers[(request.url ?? "").split("?")[0]];
      response.writeHead(answer === undefined ? 404 : 200);
      response.end(JSON.stringify(answer ?? { error: "no such call" }));
    });
  }

  agent(node: string, listener: RequestListener): Promise<void> {
    return this.#listen(agentSocket(this.name, node), listener);
  }

  run(...args: string[]) {
    return run([...PODWIRE, "--lab", this.name, ...args]);
  }

  start(ready: RegExp, ...args: string[]): Promise<Running> {
    return start([...PODWIRE, "--lab", this.name, ...args], ready);
  }

  /** The command as words, for use behind another program. */
  command(...args: string[]): string[] {
    return [...PODWIRE, "--lab", this.name, ...args];
  }

  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
    this.#remove();
  }

  #listen(socket: string, listener: RequestListener): Promise<void> {
    const server = createServer(listener);
    this.#servers.push(server);
    return new Promise((resolve) => server.listen(socket, resolve));
  }

  #remove(): void {
    rmSync(labPaths(this.name).dir, { recursive: true, force: true });
  }
}
