/** What somebody asks to be signed, and what a signer might answer; made by openssl, base64 of PEM as the API has it. */
const pem = (what: string, lines: string): string =>
  Buffer.from(`-----BEGIN ${what}-----\n${lines.trim()}\n-----END ${what}-----\n`).toString("base64");

/** For O=team, CN=jane. */
export const REQUEST = pem(
  "CERTIFICATE REQUEST",
  `
MIHZMIGAAgEAMB4xDTALBgNVBAoMBHRlYW0xDTALBgNVBAMMBGphbmUwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAASHVthAPzfV6k/tgCJQjOd4RjKRMbdVjd80PmFp
ecFMmKhzdbLI1F7zofVtbt/vVg7cpYJdbXW9hyXAX3/4JaAIoAAwCgYIKoZIzj0E
AwIDSAAwRQIhAKt0wZfWeh6Spc193rG+efkj4RNXG8jjqa0Lpaq68NsQAiAxHNU8
PmqbaWI0Br578dBqkry8JCYUvfPqeUqXOOlklQ==`,
);

export const CERTIFICATE = pem(
  "CERTIFICATE",
  `
MIIBdTCCARugAwIBAgIUARLCLRH7/LNKbrRXohVJLCQM4P8wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEamFuZTAgFw0yNjExMzAyMjUxNDNaGA8yMDgxMDkwMjIyNTE0
M1owDzENMAsGA1UEAwwEamFuZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBwC
mrOmt5peW3Z6FxtgnpmAwT0MPwtVaofn6+jdkDcYkxyXcUV9WeudjnXv1/EVB0P2
qK2vv2yGfZ1xdlSqooOjUzBRMB0GA1UdDgQWBBRbm9O7H93M2+ROlY6Bn47JCp9m
SjAfBgNVHSMEGDAWgBRbm9O7H93M2+ROlY6Bn47JCp9mSjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIF5mz/YY94BekUAlstU8wdj0zmknULoUiAw2
4UFqQ+vAAiEAoSyZ4gsdQt1Xd6J0FXZF+i7SrK4uuu8oabemfdNPJbk=`,
);
