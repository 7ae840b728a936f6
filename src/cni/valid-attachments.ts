// GC is told what is still valid. No list is not an empty one: whoever leaves it out would lose every pod's network.
import { type Fields, invalid, isMissing, listAt, lowerKeys, objectAt, textAt } from "./fields.ts";

const KEY = "cni.dev/valid-attachments";

/** "container interface" of each; null is how Go writes an empty list. */
export function readValidAttachments(config: Fields): ReadonlySet<string> {
  if (!(KEY in config))
    throw invalid(KEY, "is missing: GC needs the attachments that are valid, an empty list for none");
  const list = isMissing(config[KEY]) ? [] : listAt(config[KEY], KEY);
  return new Set(
    list.map((value, i) => {
      const { containerid, ifname } = lowerKeys(objectAt(value, `${KEY}[${i}]`));
      const named = (text: unknown, key: string): string => {
        const name = textAt(text, `${KEY}[${i}].${key}`) ?? "";
        // One that is not understood is not one that is gone.
        if (name === "") throw invalid(`${KEY}[${i}].${key}`, "is missing");
        return name;
      };
      return `${named(containerid, "containerID")} ${named(ifname, "ifname")}`;
    }),
  );
}
