// Formats of texts that an API server checks; those that it does not know are not checked at all.
import { isIP, isIPv4, isIPv6 } from "node:net";

const DATE = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/;
const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;
const DURATION = /^[+-]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const HOST =
  /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i;
const MAC = /^(?:[0-9a-f]{2}[:-]){5,7}[0-9a-f]{2}$/i;
const EMAIL = /^[^\s@]+@[^\s@]+$/;

function isCidr(text: string): boolean {
  const [address, length, ...more] = text.split("/");
  if (more.length > 0 || !/^\d{1,3}$/.test(length ?? "")) return false;
  const family = isIP(address);
  return family !== 0 && Number(length) <= (family === 4 ? 32 : 128);
}

const isDate = (text: string): boolean => DATE.test(text) && !Number.isNaN(Date.parse(text));
const isTime = (text: string): boolean => TIME.test(text) && !Number.isNaN(Date.parse(text));

function isUri(text: string): boolean {
  try {
    new URL(text);
    return true;
  } catch {
    return text.startsWith("/");
  }
}

export const FORMATS: Readonly<Record<string, RegExp | ((text: string) => boolean)>> = {
  date: isDate,
  "date-time": isTime,
  datetime: isTime,
  duration: DURATION,
  uuid: UUID,
  byte: BASE64,
  hostname: HOST,
  mac: MAC,
  email: EMAIL,
  uri: isUri,
  ipv4: isIPv4,
  ipv6: isIPv6,
  cidr: isCidr,
};
