// Pods, and the templates of pods in every kind that makes them. The notation is field-table.ts's.
import { parseFieldTable } from "./field-table.ts";

export const POD_FIELDS = parseFieldTable(`
Pod
  apiVersion,kind,metadata,spec,status  served
PodTemplateSpec
  metadata,spec  served
PodSpec
  activeDeadlineSeconds  served
  affinity  served
  automountServiceAccountToken  served  false: no token is mounted of itself; left out: as the ServiceAccount says
  containers,dnsConfig,dnsPolicy,hostNetwork,nodeName,nodeSelector,readinessGates  served
  enableServiceLinks  served  false: no variables of Services (WEB_SERVICE_HOST) but kubernetes'
  ephemeralContainers  lab  a new pod has none; they are not run: podwire exec does it
  hostAliases  served  in /etc/hosts
  hostIPC,hostPID  lab [true|false]  judged by pod security; pods always share the machine's processes and IPC
  hostUsers  lab [true]  judged by pod security; programs run as root of the machine
  hostname  served  HOSTNAME, /etc/hostname, /etc/hosts, hostname(1) and the EndpointSlice
  hostnameOverride  lab  use hostname
  imagePullSecrets  lab  images are not pulled
  initContainers  served  with restartPolicy: Always they are sidecars
  os  lab [linux]  judged by pod security; programs are this machine's
  overhead  lab  resources are neither reserved nor limited
  preemptionPolicy  lab [PreemptLowerPriority]  pods are not ordered by priority
  priority  lab [0]  pods are not ordered by priority
  priorityClassName  lab  pods are not ordered by priority
  resourceClaims  lab  devices are not allocated
  resources  lab  resources are neither reserved nor limited
  restartPolicy  served
  runtimeClassName  lab  may be exempt from pod security; programs are run as they are
  schedulerName  served  pods of another one than default-scheduler wait until it binds them
  schedulingGates  lab  pods are scheduled at once
  securityContext  lab  judged by pod security; programs run as root of the machine
  serviceAccount,serviceAccountName  served  it must be there; default where none is named
  shareProcessNamespace  lab [true|false]  pods always share the machine's processes and IPC
  setHostnameAsFQDN  lab [false]  use hostname
  subdomain  served  in EndpointSlices, and by their hostnames in DNS
  terminationGracePeriodSeconds  served  up to lab up --grace-period
  tolerations  served
  topologySpreadConstraints  lab  the node with the fewest pods takes the next one
  volumes  served  judged by pod security as well
  workloadRef  lab  pods are scheduled one by one
Container
  args  served  with command, or with a program for the image
  command  served  a program of this machine
  env,envFrom,lifecycle,livenessProbe,name,readinessProbe,startupProbe  served
  image  served  podwire/echo, and those that a program of this machine runs for: lab.md
  imagePullPolicy  lab [Always|IfNotPresent|Never]  images are not pulled
  ports  served
  resizePolicy  lab [NotRequired|RestartContainer]  resources are not changed while it runs
  resources  lab  nothing is reserved, and only memory is limited, but not that of podwire/echo
  restartPolicy  served  Always, of init containers: sidecars
  restartPolicyRules  lab  the pod's restartPolicy holds for every container
  securityContext  lab  judged by pod security; programs run as root of the machine
  stdin,stdinOnce,tty  served
  terminationMessagePath,terminationMessagePolicy  served  a program that left no message: its last line of output
  volumeDevices  lab  block devices are not made
  volumeMounts  served  a container whose mount points this machine has not gets a root of its own above its files
  workingDir  served
ContainerPort
  containerPort,hostIP,hostPort,name,protocol  served
EnvVar
  name,value,valueFrom  served
EnvVarSource
  configMapKeyRef,fieldRef,resourceFieldRef,secretKeyRef  served
  fileKeyRef  lab  files of volumes are not read for variables: the variable is empty
EnvFromSource
  configMapRef,prefix,secretRef  served
ConfigMapEnvSource
  name,optional  served
SecretEnvSource
  name,optional  served
ConfigMapKeySelector
  key,name,optional  served
SecretKeySelector
  key,name,optional  served
ResourceFieldSelector
  containerName,divisor,resource  served
ObjectFieldSelector
  apiVersion  kept
  fieldPath  served
Lifecycle
  postStart,preStop  served
  stopSignal  lab [SIGTERM]  programs are ended by SIGTERM
LifecycleHandler
  exec,httpGet,sleep  served
  tcpSocket  served  it fails, as in a cluster: no kubelet runs it
SleepAction
  seconds  served
Probe
  exec,failureThreshold,grpc,httpGet,initialDelaySeconds,periodSeconds,successThreshold,tcpSocket  served
  terminationGracePeriodSeconds,timeoutSeconds  served
GRPCAction
  port,service  served
ExecAction
  command  served
HTTPGetAction
  host,httpHeaders,path,port,scheme  served
HTTPHeader
  name,value  served
TCPSocketAction
  host,port  served
PodDNSConfig
  nameservers,options,searches  served
PodDNSConfigOption
  name,value  served
HostAlias
  hostnames,ip  served
PodReadinessGate
  conditionType  served
Toleration
  effect,key,operator,value  served
  tolerationSeconds  lab [300]  a taint does not remove pods that are there
PodStatus
  conditions,phase,podIP,podIPs  served  podIPs in a file asks for addresses; a lab writes the others anew
  containerStatuses,hostIP,hostIPs,message,reason,startTime  served  written by the lab
  initContainerStatuses  served  written by the lab
  allocatedResources,ephemeralContainerStatuses,extendedResourceClaimStatus  kept
  nominatedNodeName,observedGeneration,qosClass,resize,resourceClaimStatuses,resources  kept
PodIP
  ip  served
HostIP
  ip  served
PodCondition
  type,status,lastTransitionTime,message,reason  served
  lastProbeTime,observedGeneration  kept
ContainerStatus
  image,imageID,lastState,name,ready,restartCount,started,state  served  written by the lab
  allocatedResources,allocatedResourcesStatus,containerID,resources,stopSignal,user,volumeMounts  kept
ContainerState
  running,terminated,waiting  kept
`);
