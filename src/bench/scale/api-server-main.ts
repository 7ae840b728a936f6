// A stand-in for an API server with a cluster's objects, beside the program that is measured: prints its port.
//   api-server-main SERVICES ENDPOINTS PODS
import { StandIn } from "../../testing/api-server/stand-in.ts";
import { firstObjects, loadObjects } from "./api-objects.ts";

async function main(): Promise<void> {
  const [services, endpoints, pods] = process.argv.slice(2).map(Number);
  const server = new StandIn();
  for (const object of firstObjects()) server.put(object);
  for (const object of loadObjects({ services, endpoints, pods })) server.put(object);
  console.log(`listens on ${await server.listen()}`);
}

void main(); // not awaited here: a bundle is no module
