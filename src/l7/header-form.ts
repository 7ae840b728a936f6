// What may stand in headers that objects bring: what is written otherwise would end its header, and begin another one.
/** RFC 9110 §5.6.2 */
export const isToken = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/;

/** Of a value without the space around it: neither lines nor control characters (§5.5). */
export const isValue = /^[\t\x20-\x7e\x80-\uffff]*$/;
