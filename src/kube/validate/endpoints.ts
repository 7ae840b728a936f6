// Endpoints, as ValidateEndpoints (pkg/apis/core/validation) refuses it.
import type { EndpointAddress, EndpointPort } from "kubernetes-types/core/v1.js";
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { Endpoints } from "../objects.ts";
import * as names from "./names.ts";

const PROTOCOLS = ["SCTP", "TCP", "UDP"];

export function validateEndpoints({ subsets = [] }: Endpoints, problems: FieldProblems): void {
  for (const [i, subset] of subsets.entries()) {
    const at: FieldPath = ["subsets", i];
    const { addresses = [], notReadyAddresses = [], ports = [] } = subset;
    if (addresses.length === 0 && notReadyAddresses.length === 0)
      problems.required(at, "must specify `addresses` or `notReadyAddresses`");
    for (const [n, address] of addresses.entries())
      validateAddress(address, [...at, "addresses", n], problems);
    for (const [n, address] of notReadyAddresses.entries())
      validateAddress(address, [...at, "notReadyAddresses", n], problems);
    for (const [n, port] of ports.entries())
      validatePort(port, ports.length > 1, [...at, "ports", n], problems);
  }
}

function validateAddress(address: EndpointAddress, at: FieldPath, problems: FieldProblems): void {
  const { ip = "", hostname = "", nodeName } = address;
  if (names.checkIp(problems, [...at, "ip"], ip)) names.checkOrdinaryIp(problems, [...at, "ip"], ip);
  if (hostname !== "") names.checkName(problems, [...at, "hostname"], hostname, names.dns1123Label);
  if (nodeName !== undefined)
    names.checkName(problems, [...at, "nodeName"], nodeName, names.dns1123Subdomain);
}

function validatePort(port: EndpointPort, needsName: boolean, at: FieldPath, problems: FieldProblems): void {
  const { name = "", appProtocol } = port;
  if (needsName && name === "") problems.required([...at, "name"]);
  else if (name !== "") names.checkName(problems, [...at, "name"], name, names.dns1123Label);
  if (!names.isPort(port.port)) problems.invalid([...at, "port"], port.port ?? 0, names.PORT_TEXT);
  problems.oneOf([...at, "protocol"], port.protocol, PROTOCOLS);
  if (appProtocol !== undefined)
    names.checkName(problems, [...at, "appProtocol"], appProtocol, names.qualifiedName);
}
