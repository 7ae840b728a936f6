// Columns of volumes: a lab stores such objects, and does no more with them.
import type * as core from "kubernetes-types/core/v1.js";
import type * as storage from "kubernetes-types/storage/v1.js";
import type { KubeObject } from "../../kube/objects.ts";
import { AGE, column, count, NAME, type TableColumn, WIDE } from "./column.ts";

type Classed = { spec?: { volumeAttributesClassName?: string; volumeMode?: string } };
type Volume = core.PersistentVolume & KubeObject;
type Claim = core.PersistentVolumeClaim & KubeObject;

const CLASS_BETA = "volume.beta.kubernetes.io/storage-class";
const MODES: readonly [string, string][] = [
  ["ReadWriteOnce", "RWO"],
  ["ReadOnlyMany", "ROX"],
  ["ReadWriteMany", "RWX"],
  ["ReadWriteOncePod", "RWOP"],
];

const attributesClass = column<Classed>("VolumeAttributesClass", ({ spec }) => {
  return spec?.volumeAttributesClassName ?? "<unset>";
});
const volumeMode = column<Classed>("VolumeMode", ({ spec }) => spec?.volumeMode ?? "<unset>", WIDE);

export const STORAGE: Readonly<Record<string, readonly TableColumn[]>> = {
  PersistentVolume: [
    NAME,
    column<Volume>("Capacity", ({ spec }) => String(spec?.capacity?.storage ?? "0")),
    column<Volume>("Access Modes", ({ spec }) => modesText(spec?.accessModes)),
    column<Volume>("Reclaim Policy", ({ spec }) => spec?.persistentVolumeReclaimPolicy ?? ""),
    column<Volume>("Status", phaseOf),
    column<Volume>("Claim", ({ spec }) => {
      return spec?.claimRef === undefined ? "" : `${spec.claimRef.namespace}/${spec.claimRef.name}`;
    }),
    column<Volume>("StorageClass", classOf),
    attributesClass,
    column<Volume>("Reason", ({ status }) => status?.reason ?? ""),
    AGE,
    volumeMode,
  ],
  PersistentVolumeClaim: [
    NAME,
    column<Claim>("Status", phaseOf),
    column<Claim>("Volume", ({ spec }) => spec?.volumeName ?? ""),
    column<Claim>("Capacity", ({ spec, status }) => {
      return (spec?.volumeName ?? "") === "" ? "" : String(status?.capacity?.storage ?? "0");
    }),
    column<Claim>("Access Modes", ({ spec, status }) => {
      return (spec?.volumeName ?? "") === "" ? "" : modesText(status?.accessModes);
    }),
    column<Claim>("StorageClass", classOf),
    attributesClass,
    AGE,
    volumeMode,
  ],
  StorageClass: [
    column<storage.StorageClass & KubeObject>(
      "Name",
      ({ metadata }) => {
        const isDefault = ["", ".beta"].some(
          (kind) => metadata.annotations?.[`storageclass${kind}.kubernetes.io/is-default-class`] === "true",
        );
        return isDefault ? `${metadata.name} (default)` : metadata.name;
      },
      { format: "name" },
    ),
    column<storage.StorageClass>("Provisioner", ({ provisioner }) => provisioner),
    column<storage.StorageClass>("ReclaimPolicy", ({ reclaimPolicy }) => reclaimPolicy ?? "Delete"),
    column<storage.StorageClass>(
      "VolumeBindingMode",
      ({ volumeBindingMode }) => volumeBindingMode ?? "Immediate",
    ),
    column<storage.StorageClass>("AllowVolumeExpansion", ({ allowVolumeExpansion }) => {
      return allowVolumeExpansion ?? false;
    }),
    AGE,
  ],
  CSINode: [NAME, count<storage.CSINode>("Drivers", ({ spec }) => spec.drivers.length), AGE],
};

function phaseOf({ metadata, status }: Volume | Claim): string {
  return metadata.deletionTimestamp === undefined ? (status?.phase ?? "") : "Terminating";
}

function classOf({ metadata, spec }: Volume | Claim): string {
  return metadata.annotations?.[CLASS_BETA] ?? spec?.storageClassName ?? "";
}

function modesText(modes: string[] | undefined): string {
  return MODES.flatMap(([mode, short]) => (modes?.includes(mode) ? [short] : [])).join(",");
}
