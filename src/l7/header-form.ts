// What may stand in headers that objects bring: what is written otherwise would end its header, and begin another one.
/** RFC 9110 §5.6.2 */
export const isToken = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/;

/** Of a value without the space around it. */
export const isValue = /^[^\0-\x08\x0a-\x1f\x7f]*$/;
