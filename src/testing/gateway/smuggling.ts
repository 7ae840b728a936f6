// What two readers could take for two things: requests that hide another one (request smuggling).

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";
const head = "POST / HTTP/1.1\r\nHost: a.example\r\n";
/** By what is wrong with it. Each has a request behind it that must not be one. */
export const SMUGGLING: Readonly<Record<string, string>> = {
  "CL and TE": `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  "TE and CL": `${head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
  "two lengths": `${head}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  "two equal lengths": `${head}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd${smuggled}`,
  "a list of lengths": `${head}Content-Length: 4, 4\r\n\r\nabcd${smuggled}`,
  "a signed length": `${head}Content-Length: +4\r\n\r\nabcd${smuggled}`,
  "a length with a space in it": `${head}Content-Length: 4 4\r\n\r\nabcd${smuggled}`,
  "TE that is almost chunked": `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
  "TE with a tab before it": `${head}Transfer-Encoding:\tchunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
  "TE twice": `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  "TE behind a quoted one": `${head}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n${smuggled}`,
  "a space before the colon": `${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  "a folded header": `${head}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  "a folded value": `${head}X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n${smuggled}`,
  "lines that end in LF alone": `POST / HTTP/1.1\nHost: a.example\nContent-Length: 0\n\n${smuggled}`,
  "a header that ends in LF alone": `${head}X: y\nContent-Length: 0\r\n\r\n${smuggled}`,
  "CR within a value": `${head}X: a\rb\r\nContent-Length: 0\r\n\r\n${smuggled}`,
  "NUL within a value": `${head}X: a\0b\r\nContent-Length: 0\r\n\r\n${smuggled}`,
  "a chunk size that is none": `${head}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n${smuggled}`,
  "a chunk size with a sign": `${head}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n${smuggled}`,
  "a chunk that ends in LF": `${head}Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n${smuggled}`,
  "a chunk that is too long": `${head}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n${smuggled}`,
  "two hosts": `GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n${smuggled}`,
  "no host": `GET / HTTP/1.1\r\n\r\n${smuggled}`,
  "a host with a path": `GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n${smuggled}`,
  "a host with an @": `GET / HTTP/1.1\r\nHost: x@a.example\r\n\r\n${smuggled}`,
  "a space in the path": `GET /a b HTTP/1.1\r\nHost: a.example\r\n\r\n${smuggled}`,
  "TE by HTTP/1.0": `POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  "HTTP/1.2": `GET / HTTP/1.2\r\nHost: a.example\r\n\r\n${smuggled}`,
  CONNECT: `CONNECT a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n${smuggled}`,
  "another protocol": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
};
