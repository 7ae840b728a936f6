// As much JSON (RFC 8259) as the plug-in needs: is a text one whole object, and what are some of its strings.
#ifndef PODWIRE_CNI_JSON_H
#define PODWIRE_CNI_JSON_H

#include <stdbool.h>

/** A member of the outermost object. What is no string, is too long or holds escapes is lost: `value` stays as it is. */
struct json_field {
  const char *key;
  char *value;
  unsigned long size;
  bool is_lost;
};

/** Reads one object; NULL, or what is wrong with the text. Of members that come twice the last counts. */
const char *json_object(const char *text, long length, struct json_field *fields, int count);

/** Prints a JSON string to standard output. */
void json_print(const char *text);

#endif
