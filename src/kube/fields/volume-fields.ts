// Volumes of pods, and where containers see them. The notation is field-table.ts's.
import { parseFieldTable } from "./field-table.ts";

export const VOLUME_FIELDS = parseFieldTable(`
Volume
  name  served
  configMap,downwardAPI,emptyDir,hostPath,persistentVolumeClaim,projected,secret  served
  ephemeral  served  an empty directory of the pod's
  awsElasticBlockStore,azureDisk,azureFile,cephfs,cinder,csi,fc,flexVolume,flocker  lab  its pod waits: FailedMount
  gcePersistentDisk,gitRepo,glusterfs,image,iscsi,nfs,photonPersistentDisk  lab  its pod waits: FailedMount
  portworxVolume,quobyte,rbd,scaleIO,storageos,vsphereVolume  lab  its pod waits: FailedMount
EmptyDirVolumeSource
  medium  served  Memory; huge pages are not
  sizeLimit  served  of medium: Memory
HostPathVolumeSource
  path  served  of this machine
  type  served  what is to be made where it is missing is made in the lab, not on the machine
ConfigMapVolumeSource
  defaultMode,items,name,optional  served
SecretVolumeSource
  defaultMode,items,optional,secretName  served
DownwardAPIVolumeSource
  defaultMode,items  served
DownwardAPIVolumeFile
  fieldRef,mode,path,resourceFieldRef  served
ProjectedVolumeSource
  defaultMode,sources  served
VolumeProjection
  configMap,downwardAPI,secret,serviceAccountToken  served
  clusterTrustBundle,podCertificate  lab  its pod waits: FailedMount
ConfigMapProjection
  items,name,optional  served
SecretProjection
  items,name,optional  served
DownwardAPIProjection
  items  served
ServiceAccountTokenProjection
  audience,path  served
  expirationSeconds  served  it is renewed when four fifths of them are over
KeyToPath
  key,mode,path  served
PersistentVolumeClaimVolumeSource
  claimName,readOnly  served  a directory of the lab's, for each claim, as long as there is the lab
EphemeralVolumeSource
  volumeClaimTemplate  kept
VolumeMount
  mountPath,name,readOnly,subPath,subPathExpr  served
  mountPropagation  lab [None]  what a container mounts is its own
  recursiveReadOnly  lab [Disabled|IfPossible]  what is mounted within stays as it is
`);
