// Pods, and the templates of pods in every kind that makes them. The notation is field-table.ts's.
import { parseFieldTable } from "./field-table.ts";

export const POD_FIELDS = parseFieldTable(`
Pod
  apiVersion,kind,metadata,spec,status  served
PodTemplateSpec
  metadata,spec  served
PodSpec
  activeDeadlineSeconds  lab  pods are not ended after a time
  affinity  served
  automountServiceAccountToken  lab [true|false]  there are no tokens to mount
  containers,dnsConfig,dnsPolicy,hostNetwork,nodeName,nodeSelector,readinessGates  served
  enableServiceLinks  lab [true|false]  variables of Services (WEB_SERVICE_HOST) are not set
  ephemeralContainers  lab  a new pod has none; they are not run: podwire exec does it
  hostAliases  served  in /etc/hosts, but not of hostNetwork pods
  hostIPC,hostPID  lab [true|false]  judged by pod security; pods always share the machine's processes and IPC
  hostUsers  lab [true]  judged by pod security; programs run as root of the machine
  hostname  served  HOSTNAME, /etc/hostname, /etc/hosts and the EndpointSlice; hostname(1) says the machine's
  hostnameOverride  lab  use hostname
  imagePullSecrets  lab  images are not pulled
  initContainers  lab  init containers are not run
  os  lab [linux]  judged by pod security; programs are this machine's
  overhead  lab  resources are neither reserved nor limited
  preemptionPolicy  lab [PreemptLowerPriority]  pods are not ordered by priority
  priority  lab [0]  pods are not ordered by priority
  priorityClassName  lab  pods are not ordered by priority
  resourceClaims  lab  devices are not allocated
  resources  lab  resources are neither reserved nor limited
  restartPolicy  served
  runtimeClassName  lab  may be exempt from pod security; programs are run as they are
  schedulerName  lab [default-scheduler]  there is one scheduler
  schedulingGates  lab  pods are scheduled at once
  securityContext  lab  judged by pod security; programs run as root of the machine
  serviceAccount,serviceAccountName  served  its name, for the downward API; there are no tokens
  shareProcessNamespace  lab [true|false]  pods always share the machine's processes and IPC
  setHostnameAsFQDN  lab [false]  use hostname
  subdomain  served  in EndpointSlices; podwire has no DNS server
  terminationGracePeriodSeconds  served  up to lab up --grace-period
  tolerations  served
  topologySpreadConstraints  lab  the node with the fewest pods takes the next one
  volumes  lab  judged by pod security; volumes are not made: programs see the machine's files
  workloadRef  lab  pods are scheduled one by one
Container
  args  served  with command
  command  served  a program of this machine
  env,lifecycle,name,readinessProbe  served
  envFrom  lab  ConfigMaps and Secrets are not read
  image  served  podwire/echo; others are not run
  imagePullPolicy  lab [Always|IfNotPresent|Never]  images are not pulled
  livenessProbe  lab  it is not asked; a program that ends is started again
  ports  served
  resizePolicy  lab [NotRequired|RestartContainer]  resources are neither reserved nor limited
  resources  lab  resources are neither reserved nor limited
  restartPolicy  lab  the pod's holds for every container
  restartPolicyRules  lab  the pod's restartPolicy holds for every container
  securityContext  lab  judged by pod security; programs run as root of the machine
  startupProbe  lab  it is not asked; readinessProbe is, from the start
  stdin,stdinOnce,tty  lab [false]  programs have neither input nor terminal
  terminationMessagePath  lab [/dev/termination-log]  the message is the last line of the program's output
  terminationMessagePolicy  lab [File|FallbackToLogsOnError]  the message is the last line of the program's output
  volumeDevices,volumeMounts  lab  volumes are not made: programs see the machine's files
  workingDir  served
ContainerPort
  containerPort,hostIP,hostPort,name,protocol  served
EnvVar
  name,value,valueFrom  served
EnvVarSource
  configMapKeyRef,secretKeyRef,fileKeyRef  lab  ConfigMaps, Secrets and volumes are not read: the variable is empty
  fieldRef  served
  resourceFieldRef  lab  resources are neither reserved nor limited: the variable is empty
ObjectFieldSelector
  apiVersion  kept
  fieldPath  served
Lifecycle
  postStart  lab  it is not run
  preStop  served
  stopSignal  lab [SIGTERM]  programs are ended by SIGTERM
LifecycleHandler
  exec,sleep  served
  httpGet,tcpSocket  lab  it is not run: use exec
SleepAction
  seconds  served
Probe
  exec,failureThreshold,httpGet,initialDelaySeconds,periodSeconds,successThreshold,tcpSocket,timeoutSeconds  served
  grpc  lab  it is not asked, so the container counts as ready: use tcpSocket
  terminationGracePeriodSeconds  refused  of readinessProbe, the one that is asked
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
  allocatedResources,ephemeralContainerStatuses,extendedResourceClaimStatus,initContainerStatuses  kept
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
