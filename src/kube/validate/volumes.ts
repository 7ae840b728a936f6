// Volumes and where containers see them, as validateVolumes and ValidateVolumeMounts (pkg/apis/core/validation) refuse
// them: of the sources that a lab makes.
import type { KeyToPath, Volume, VolumeProjection } from "kubernetes-types/core/v1.js";
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { Container, PodSpec } from "../objects.ts";
import * as names from "./names.ts";

const MODE_MAX = 0o777;
const MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive";

/** Names of the volumes. */
export function validateVolumes(spec: PodSpec, at: FieldPath, problems: FieldProblems): Set<string> {
  const seen = new Set<string>();
  for (const [i, volume] of (spec.volumes ?? []).entries()) {
    const path = [...at, "volumes", i];
    names.checkName(problems, [...path, "name"], volume.name, names.dns1123Label);
    if (seen.has(volume.name)) problems.duplicate([...path, "name"], volume.name);
    seen.add(volume.name);
    const sources = Object.keys(volume).filter((field) => field !== "name");
    for (const more of sources.slice(1))
      problems.forbidden([...path, more], "may not specify more than 1 volume type");
    validateSource(volume, path, problems);
  }
  return seen;
}

function validateSource(volume: Volume, at: FieldPath, problems: FieldProblems): void {
  const { configMap, secret, downwardAPI, projected, hostPath, persistentVolumeClaim: claim } = volume;
  const need = (text: string | undefined, ...path: string[]): void => {
    if ((text ?? "") === "") problems.required([...at, ...path]);
  };
  if (configMap !== undefined) need(configMap.name, "configMap", "name");
  if (secret !== undefined) need(secret.secretName, "secret", "secretName");
  if (claim !== undefined) need(claim.claimName, "persistentVolumeClaim", "claimName");
  if (hostPath !== undefined) {
    need(hostPath.path, "hostPath", "path");
    noWayBack(hostPath.path ?? "", [...at, "hostPath", "path"], problems);
  }
  const holders = { configMap, secret, downwardAPI, projected };
  for (const [field, source] of Object.entries(holders)) {
    if (source === undefined) continue;
    checkMode(source.defaultMode, [...at, field, "defaultMode"], problems);
    validateItems(
      (source as { items?: KeyToPath[] }).items,
      [...at, field],
      field !== "downwardAPI",
      problems,
    );
  }
  for (const [i, source] of (projected?.sources ?? []).entries())
    validateProjection(source, [...at, "projected", "sources", i], problems);
}

function validateProjection(source: VolumeProjection, at: FieldPath, problems: FieldProblems): void {
  const kinds = Object.keys(source);
  if (kinds.length === 0) problems.required(at, "must specify at least 1 volume source");
  for (const more of kinds.slice(1))
    problems.forbidden([...at, more], "may not specify more than 1 volume type");
  const { configMap, secret, downwardAPI, serviceAccountToken } = source;
  if (configMap !== undefined && (configMap.name ?? "") === "")
    problems.required([...at, "configMap", "name"]);
  if (secret !== undefined && (secret.name ?? "") === "") problems.required([...at, "secret", "name"]);
  validateItems(configMap?.items, [...at, "configMap"], true, problems);
  validateItems(secret?.items, [...at, "secret"], true, problems);
  validateItems(downwardAPI?.items as KeyToPath[] | undefined, [...at, "downwardAPI"], false, problems);
  if (serviceAccountToken === undefined) return;
  const path = [...at, "serviceAccountToken", "path"];
  if ((serviceAccountToken.path ?? "") === "") problems.required(path);
  else checkRelative(serviceAccountToken.path, path, problems);
}

function validateItems(
  items: readonly KeyToPath[] | undefined,
  at: FieldPath,
  isKeyed: boolean,
  problems: FieldProblems,
): void {
  for (const [i, { key, path, mode }] of (items ?? []).entries()) {
    const where = [...at, "items", i];
    if (isKeyed && (key ?? "") === "") problems.required([...where, "key"]);
    if ((path ?? "") === "") problems.required([...where, "path"]);
    else checkRelative(path, [...where, "path"], problems);
    checkMode(mode, [...where, "mode"], problems);
  }
}

function checkMode(mode: number | undefined, path: FieldPath, problems: FieldProblems): void {
  if (mode !== undefined && (mode < 0 || mode > MODE_MAX)) problems.invalid(path, mode, MODE_TEXT);
}

function checkRelative(text: string, path: FieldPath, problems: FieldProblems): void {
  if (text.startsWith("/")) problems.invalid(path, text, "must be a relative path");
  noWayBack(text, path, problems);
  if (text.startsWith("..") && text !== ".." && !text.startsWith("../"))
    problems.invalid(path, text, "must not start with '..'");
}

function noWayBack(text: string, path: FieldPath, problems: FieldProblems): void {
  if (text.split("/").includes("..")) problems.invalid(path, text, "must not contain '..'");
}

/** `volumes`: the names that the pod has. */
export function validateMounts(
  container: Container,
  at: FieldPath,
  volumes: ReadonlySet<string>,
  problems: FieldProblems,
): void {
  const seen = new Set<string>();
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const path = [...at, "volumeMounts", i];
    const { name = "", mountPath = "", subPath = "", subPathExpr = "" } = mount;
    if (name === "") problems.required([...path, "name"]);
    else if (!volumes.has(name)) problems.notFound([...path, "name"], name);
    if (mountPath === "") problems.required([...path, "mountPath"]);
    if (seen.has(mountPath)) problems.invalid([...path, "mountPath"], mountPath, "must be unique");
    seen.add(mountPath);
    if (subPath !== "") checkSubPath(subPath, [...path, "subPath"], problems);
    if (subPathExpr === "") continue;
    if (subPath !== "")
      problems.invalid(
        [...path, "subPathExpr"],
        subPathExpr,
        "subPathExpr and subPath are mutually exclusive",
      );
    checkSubPath(subPathExpr, [...path, "subPathExpr"], problems);
  }
}

function checkSubPath(text: string, path: FieldPath, problems: FieldProblems): void {
  if (text.startsWith("/")) problems.invalid(path, text, "must be a relative path");
  noWayBack(text, path, problems);
}
