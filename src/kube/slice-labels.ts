// Labels by which EndpointSlices say whose they are and who made them.
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";
export const MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by";
export const HEADLESS_LABEL = "service.kubernetes.io/headless";
/** On Endpoints that are not to become EndpointSlices. */
export const SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror";
