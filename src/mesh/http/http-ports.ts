// Which ports carry requests of HTTP: those whose Service says so, by appProtocol or by the name of the port, and those
// of which a policy asks for what only a request has.
import type { WorkloadPolicies } from "../../l7/mesh/authorization.ts";
import type { ServicePort } from "../service-ports.ts";

const HTTP = /^(?:http2?|grpc|grpc-web|h2c|kubernetes\.io\/(?:h2c|ws))$/i;
const NAMED = /^(?:http2?|grpc|grpc-web)(?:-|$)/;

export function isHttpPort(ports: readonly ServicePort[], policies: WorkloadPolicies, port: number): boolean {
  return ports.some(saysHttp) || (!ports.some(saysOther) && policies.needsHttp(port));
}

function saysHttp({ appProtocol, portName }: ServicePort): boolean {
  return appProtocol === "" ? NAMED.test(portName) : HTTP.test(appProtocol);
}

/** A protocol that is none of HTTP's, whatever a policy asks. */
function saysOther({ appProtocol, portName }: ServicePort): boolean {
  if (appProtocol !== "") return !HTTP.test(appProtocol);
  return /^(?:tcp|tls|https|mysql|mongo|redis|postgres)(?:-|$)/.test(portName);
}
