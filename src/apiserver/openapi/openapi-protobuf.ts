// An OpenAPI v2 document as protocol buffers, which is the form that kubectl asks for: messages of
// github.com/google/gnostic-models, openapiv2. Field numbers are those of that definition.
import { isObject, type Json, type JsonObject } from "../schema/schema.ts";
import { Message } from "./protobuf.ts";

/** As it is asked for. */
export const V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/** As it is answered: Go's clients read no type with an "@". */
export const V2_PROTOBUF_SENT = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

export function encodeOpenApiV2(document: JsonObject): Uint8Array {
  const info = document.info as JsonObject;
  const message = new Message()
    .text(1, document.swagger as string)
    .message(2, new Message().text(1, info.title as string).text(2, info.version as string))
    .message(8, named(document.paths as JsonObject, 2, pathItem))
    .message(9, named(document.definitions as JsonObject, 1, schema));
  return message.done();
}

/** A map: entries of a name (1) and a value (2). */
function named(map: JsonObject, field: number, write: (value: JsonObject) => Message): Message {
  const message = new Message();
  for (const [name, value] of Object.entries(map)) {
    message.message(field, new Message().text(1, name).message(2, write(value as JsonObject)));
  }
  return message;
}

const any = (value: Json): Message => new Message().text(2, `${JSON.stringify(value)}\n`);

/** What is not OpenAPI's own: `x-kubernetes-…`. */
function extensions(message: Message, field: number, of: JsonObject): Message {
  for (const [name, value] of Object.entries(of)) {
    if (name.startsWith("x-")) message.message(field, new Message().text(1, name).message(2, any(value)));
  }
  return message;
}

function pathItem({ get, patch }: JsonObject): Message {
  return new Message().message(2, operation(get)).message(8, operation(patch));
}

function operation(of: Json | undefined): Message | undefined {
  if (!isObject(of)) return undefined;
  const message = new Message();
  for (const one of of.parameters as JsonObject[]) {
    const query = new Message()
      .text(2, "query")
      .text(4, one.name as string)
      .text(6, one.type as string)
      .flag(20, one.uniqueItems as boolean);
    const parameter = new Message().message(2, new Message().message(3, query));
    message.message(8, new Message().message(1, parameter));
  }
  message.message(9, named(of.responses as JsonObject, 1, response));
  return extensions(message, 13, of);
}

function response({ description, schema: of }: JsonObject): Message {
  const item = isObject(of) ? new Message().message(1, schema(of)) : undefined;
  return new Message().message(1, new Message().text(1, description as string).message(2, item));
}

function schema(of: JsonObject): Message {
  const { additionalProperties: more, items, properties } = of;
  const message = new Message()
    .text(1, of.$ref as string)
    .text(2, of.format as string)
    .text(4, of.description as string)
    .message(5, of.default === undefined ? undefined : any(of.default))
    .double(7, of.maximum as number)
    .double(9, of.minimum as number)
    .integer(11, of.maxLength as number)
    .integer(12, of.minLength as number)
    .text(13, of.pattern as string)
    .integer(14, of.maxItems as number)
    .integer(15, of.minItems as number)
    .texts(19, of.required as string[])
    .message(21, isObject(more) ? new Message().message(1, schema(more)) : undefined)
    .message(22, of.type === undefined ? undefined : new Message().texts(1, [of.type as string]))
    .message(23, isObject(items) ? new Message().message(1, schema(items)) : undefined)
    .message(25, isObject(properties) ? named(properties, 1, schema) : undefined);
  return extensions(message, 31, of);
}
