/**
 * The node that announces the addresses of a Service of type LoadBalancer on its network: by it an agent knows which of
 * them it answers for. Written by whoever gave the addresses.
 */
export const ANNOUNCED_FROM = "podwire.dev/announced-from";
/** The name of the class of load balancers that a lab makes; a Service that names none has it, too. */
export const LOAD_BALANCER_CLASS = "podwire.dev/lab";
