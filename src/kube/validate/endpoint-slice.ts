// EndpointSlice, as ValidateEndpointSlice (pkg/apis/discovery/validation) refuses it.
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { Endpoint, EndpointSlice } from "../objects.ts";
import * as names from "./names.ts";

const TYPES = ["FQDN", "IPv4", "IPv6"];
const PROTOCOLS = ["SCTP", "TCP", "UDP"];
const ENDPOINTS_MAX = 1000;
const ADDRESSES_MAX = 100;
const PORTS_MAX = 100;
const HINTS_MAX = 8;

export function validateEndpointSlice(slice: EndpointSlice, problems: FieldProblems): void {
  problems.oneOf(["addressType"], slice.addressType, TYPES);
  if (slice.endpoints.length > ENDPOINTS_MAX)
    problems.tooMany(["endpoints"], slice.endpoints.length, ENDPOINTS_MAX);
  for (const [i, endpoint] of slice.endpoints.entries()) {
    validateEndpoint(endpoint, slice.addressType, ["endpoints", i], problems);
  }
  validatePorts(slice, problems);
}

function validateEndpoint(endpoint: Endpoint, type: string, at: FieldPath, problems: FieldProblems): void {
  const addresses = endpoint.addresses ?? [];
  if (addresses.length === 0) problems.required([...at, "addresses"], "must contain at least 1 address");
  if (addresses.length > ADDRESSES_MAX)
    problems.tooMany([...at, "addresses"], addresses.length, ADDRESSES_MAX);
  const family = type === "IPv4" ? 4 : 6;
  for (const [i, text] of addresses.entries()) {
    if (type !== "FQDN" && names.isOrdinaryIp(text, family)) continue;
    const path = [...at, "addresses", i];
    if (type === "FQDN") names.checkName(problems, path, text, names.dns1123Subdomain);
    else if (TYPES.includes(type) && names.checkIp(problems, path, text, family)) {
      names.checkOrdinaryIp(problems, path, text);
    }
  }
  if (endpoint.nodeName !== undefined && !names.isSubdomain(endpoint.nodeName)) {
    names.checkName(problems, [...at, "nodeName"], endpoint.nodeName, names.dns1123Subdomain);
  }
  if (endpoint.hostname !== undefined && endpoint.hostname !== "") {
    names.checkName(problems, [...at, "hostname"], endpoint.hostname, names.dns1123Label);
  }
  validateHints(endpoint, at, problems);
}

function validateHints(endpoint: Endpoint, at: FieldPath, problems: FieldProblems): void {
  if (endpoint.hints === undefined) return;
  for (const field of ["forZones", "forNodes"] as const) {
    const hints = endpoint.hints?.[field] ?? [];
    if (hints.length > HINTS_MAX) problems.tooMany([...at, "hints", field], hints.length, HINTS_MAX);
    const seen = new Set<string>();
    for (const [i, hint] of hints.entries()) {
      const path = [...at, "hints", field, i, "name"];
      names.checkName(
        problems,
        path,
        hint.name,
        field === "forZones" ? names.labelValue : names.dns1123Subdomain,
      );
      if (seen.has(hint.name)) problems.duplicate(path, hint.name);
      seen.add(hint.name);
    }
  }
}

function validatePorts(slice: EndpointSlice, problems: FieldProblems): void {
  if (slice.ports.length > PORTS_MAX) problems.tooMany(["ports"], slice.ports.length, PORTS_MAX);
  const seen = new Set<string>();
  for (const [i, port] of slice.ports.entries()) {
    const name = port.name ?? "";
    if (name !== "") names.checkName(problems, ["ports", i, "name"], name, names.dns1123Label);
    if (seen.has(name)) problems.duplicate(["ports", i, "name"], name);
    seen.add(name);
    problems.oneOf(["ports", i, "protocol"], port.protocol, PROTOCOLS);
    // Zero and absent mean "all ports", which a proxy skips.
    if (port.port !== undefined && port.port !== 0 && !names.isPort(port.port)) {
      problems.invalid(["ports", i, "port"], port.port, names.PORT_TEXT);
    }
  }
}
