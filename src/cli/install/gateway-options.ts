// What `podwire install --gateway` is told of a cluster, checked before it is printed.
import { type Command, InvalidArgumentError } from "commander";
import { usageError } from "../errors.ts";
import type { GatewayInstallation } from "./gateway-manifests.ts";
import { type InstallFlags, optionNamed } from "./options.ts";

export interface GatewayFlags extends InstallFlags {
  gateway?: boolean;
  replicas?: number;
  serviceType?: GatewayInstallation["serviceType"];
  ports?: readonly number[];
  ingressOnly?: boolean;
}

const PORTS = [80, 443];
const REPLICAS = 2;
const REPLICAS_MAX = 100;
const NAMESPACE = "podwire-gateway";
const SERVICE_TYPES = ["LoadBalancer", "NodePort"] as const;
/** Options by their names in code. */
const OF_BOTH = ["print", "image", "namespace"];
const OF_GATEWAYS = ["replicas", "serviceType", "ports", "ingressOnly"];

export function addGateway(command: Command): Command {
  return command
    .option("--gateway", "the proxy of Ingresses and Gateways, and nothing of the network")
    .option("--replicas <n>", `pods of the gateway (default: ${REPLICAS})`, replicas)
    .option("--service-type <type>", "LoadBalancer, or NodePort (default: LoadBalancer)", serviceType)
    .option(
      "--ports <list>",
      `TCP ports of the gateway's Service, by comma (default: ${PORTS.join()})`,
      ports,
    )
    .option("--ingress-only", "a gateway for a cluster without the Gateway API");
}

/** Without --gateway. */
export function refuseGatewayOptions(own: Command): void {
  const other = OF_GATEWAYS.find((name) => own.getOptionValueSource(name) === "cli");
  if (other !== undefined)
    throw usageError(`${optionNamed(other)} is a gateway's: give --gateway as well, or leave it out`);
}

/** Options that say nothing of what one of them prints. */
export function refuseOthers(own: Command, what: "gateway" | "mesh", known: readonly string[]): void {
  const other = own.options
    .map((each) => each.attributeName())
    .find((name) => name !== what && !known.includes(name) && own.getOptionValueSource(name) === "cli");
  if (other !== undefined)
    throw usageError(`${optionNamed(other)} is of agents, and --${what} prints none: leave it out`);
}

/** What the manifests are made of. */
export function gatewayInstallation(flags: GatewayFlags, own: Command): GatewayInstallation {
  refuseOthers(own, "gateway", [...OF_BOTH, ...OF_GATEWAYS]);
  const isOwnPlace = own.getOptionValueSource("namespace") === "cli";
  return {
    image: flags.image,
    namespace: isOwnPlace ? flags.namespace : NAMESPACE,
    replicas: flags.replicas ?? REPLICAS,
    serviceType: flags.serviceType ?? "LoadBalancer",
    ports: flags.ports ?? PORTS,
    isIngressOnly: flags.ingressOnly === true,
  };
}

function replicas(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= REPLICAS_MAX) return count;
  throw new InvalidArgumentError(`It is no number from 1 to ${REPLICAS_MAX}.`);
}

function serviceType(text: string): GatewayInstallation["serviceType"] {
  const found = SERVICE_TYPES.find((each) => each === text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`Use ${SERVICE_TYPES.join(" or ")}.`);
}

function ports(text: string): readonly number[] {
  const all = text.split(",").map((each) => each.trim());
  const isPort = (each: string): boolean => /^\d+$/.test(each) && Number(each) >= 1 && Number(each) <= 65_535;
  if (!all.every(isPort)) throw new InvalidArgumentError("They are no ports such as 80,443,8443.");
  const numbers = all.map(Number);
  if (new Set(numbers).size < numbers.length) throw new InvalidArgumentError("One of them is there twice.");
  return numbers;
}
