#include "json.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64

struct reader {
  const char *at, *end;
  const char *problem;
  struct json_field *fields;
  int count;
};

/** A string's bytes between its quotes. */
struct span {
  const char *at;
  long length;
};

static bool value(struct reader *r, int depth);

static bool wrong(struct reader *r, const char *what) {
  if (r->problem == NULL) r->problem = what;
  return false;
}

static void blanks(struct reader *r) {
  while (r->at < r->end && memchr(" \t\r\n", *r->at, 4) != NULL) r->at++;
}

static bool is_next(const struct reader *r, char c) { return r->at < r->end && *r->at == c; }

static bool take(struct reader *r, char c) {
  blanks(r);
  if (!is_next(r, c)) return false;
  r->at++;
  return true;
}

static bool is_hex(char c) { return c != '\0' && strchr("0123456789abcdefABCDEF", c) != NULL; }

static bool string(struct reader *r, struct span *out) {
  if (!take(r, '"')) return wrong(r, "is no JSON: a string is missing");
  out->at = r->at;
  while (r->at < r->end && *r->at != '"') {
    if ((unsigned char)*r->at < ' ') return wrong(r, "is no JSON: a control character in a string");
    if (*r->at++ != '\\') continue;
    if (r->at == r->end || *r->at == '\0' || strchr("\"\\/bfnrtu", *r->at) == NULL)
      return wrong(r, "is no JSON: an unknown escape in a string");
    if (*r->at++ != 'u') continue;
    for (int i = 0; i < 4; i++)
      if (r->at == r->end || !is_hex(*r->at++)) return wrong(r, "is no JSON: an unknown escape in a string");
  }
  out->length = r->at - out->at;
  return take(r, '"') || wrong(r, "is no JSON: a string does not end");
}

static bool digits(struct reader *r) {
  const char *from = r->at;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
  return r->at > from || wrong(r, "is no JSON: a value is missing");
}

static bool number(struct reader *r) {
  if (is_next(r, '-')) r->at++;
  if (is_next(r, '0')) r->at++;
  else if (!digits(r)) return false;
  if (is_next(r, '.') && (r->at++, !digits(r))) return false;
  if (!is_next(r, 'e') && !is_next(r, 'E')) return true;
  r->at++;
  if (is_next(r, '+') || is_next(r, '-')) r->at++;
  return digits(r);
}

static bool word(struct reader *r, const char *text) {
  long length = strlen(text);
  if (r->end - r->at < length || memcmp(r->at, text, length) != 0) return wrong(r, "is no JSON: a value is missing");
  r->at += length;
  return true;
}

static bool array(struct reader *r, int depth) {
  r->at++;
  if (take(r, ']')) return true;
  do {
    if (!value(r, depth)) return false;
  } while (take(r, ','));
  return take(r, ']') || wrong(r, "is no JSON: a list does not end");
}

/** found_or_null: NULL where the value is no string. */
static void keep(const struct reader *r, struct span key, const struct span *found_or_null) {
  for (int i = 0; i < r->count; i++) {
    struct json_field *f = &r->fields[i];
    if (key.length != (long)strlen(f->key) || memcmp(key.at, f->key, key.length) != 0) continue;
    f->is_lost = found_or_null == NULL;
    if (f->is_lost) continue;
    struct span found = *found_or_null;
    f->is_lost = found.length >= (long)f->size || memchr(found.at, '\\', found.length) != NULL;
    if (f->is_lost) continue;
    memcpy(f->value, found.at, found.length);
    f->value[found.length] = '\0';
  }
}

static bool object(struct reader *r, int depth) {
  r->at++;
  if (take(r, '}')) return true;
  do {
    struct span key, found;
    if (!string(r, &key)) return false;
    if (!take(r, ':')) return wrong(r, "is no JSON: a member without a value");
    blanks(r);
    if (depth == 0 && is_next(r, '"')) {
      if (!string(r, &found)) return false;
      keep(r, key, &found);
      continue;
    }
    bool is_missing = is_next(r, 'n'); // null is how Go writes nothing
    if (!value(r, depth)) return false;
    if (depth == 0 && !is_missing) keep(r, key, NULL);
  } while (take(r, ','));
  return take(r, '}') || wrong(r, "is no JSON: an object does not end");
}

static bool value(struct reader *r, int depth) {
  struct span ignored;
  blanks(r);
  if (depth == DEPTH_MAX) return wrong(r, "is nested too deeply");
  if (r->at == r->end) return wrong(r, "is no JSON: a value is missing");
  switch (*r->at) {
    case '{': return object(r, depth + 1);
    case '[': return array(r, depth + 1);
    case '"': return string(r, &ignored);
    case 't': return word(r, "true");
    case 'f': return word(r, "false");
    case 'n': return word(r, "null");
    default: return number(r);
  }
}

const char *json_object(const char *text, long length, struct json_field *fields, int count) {
  struct reader r = {.at = text, .end = text + length, .fields = fields, .count = count};
  blanks(&r);
  if (r.at == r.end) return "is empty: the network's configuration is missing";
  if (!is_next(&r, '{')) return "is no JSON object";
  if (!object(&r, 0)) return r.problem;
  blanks(&r);
  return r.at == r.end ? NULL : "is no JSON: something follows the object";
}

void json_print(const char *text) {
  putchar('"');
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') printf("\\%c", *text);
    else if ((unsigned char)*text < ' ') printf("\\u%04x", *text);
    else putchar(*text);
  }
  putchar('"');
}
